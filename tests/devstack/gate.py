# SPDX-License-Identifier: Apache-2.0
"""A folder in which the plugin's phases run, and a real Glance on the configuration they made.

    gate = Gate(folder, MULTISTORE_STORES='cheap:file,fast:file')
    gate.run('stack')
    gate.text('etc/glance/glance-api.conf')

With DEVSTACK_DIR in the environment the functions are those of that checkout of devstack.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys

from lab import ceph_glance
from lab import glance
from lab import processes

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
GLANCE_URL = 'http://127.0.0.1:9/image'
TIMEOUT_SECONDS = 300
NOT_COMPARED = ('bin', 'calls', 'before.tar', 'after.tar', 'types', 'localrc', 'local.conf')


def paste_sample():
    """Return the paste file that this environment's Glance ships."""
    return os.path.join(sys.prefix, 'etc', 'glance', 'glance-api-paste.ini')


class Outcome:
    """How a run of phases ended: code, and all that it printed."""

    def __init__(self, code, output):
        self.code = code
        self.output = output


class Gate:
    """One devstack, so far as the plugin is concerned.

    :param folder: where all of it is
    :param local_conf: local.conf without its section localrc
    :param paste: the paste file that Glance has; None: the installed one's
    :param settings: of localrc; DEVSTACK_PLUGINS and ENABLED_SERVICES too
    """

    def __init__(self, folder, local_conf='', paste=None, **settings):
        self.folder = folder
        self._paste = paste or paste_sample()
        self.write('local.conf', local_conf)
        self.set(**settings)

    def set(self, **settings):
        """Write localrc anew."""
        self.write('localrc', ''.join(
            '%s=%s\n' % (name, shlex.quote(value)) for name, value in settings.items()))

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)

    def run(self, step, script='phases.sh'):
        """Run a step of phases.sh; returns the `Outcome`."""
        environ = dict(os.environ, TEST_PYTHON=sys.executable, PASTE_SAMPLE=self._paste)
        done = subprocess.run(
            ['bash', os.path.join(HERE, script), self.folder, step], env=environ,
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=TIMEOUT_SECONDS, universal_newlines=True)
        return Outcome(done.returncode, done.stdout)

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name), encoding='utf-8') as stream:
            return stream.read()

    def calls(self):
        """Return what would have reached outside: a line for each command."""
        if not os.path.exists(self.path('calls')):
            return []
        return self.text('calls').splitlines()

    def state(self):
        """Return {path: hash} of every file, and {path: None} of every folder, of services."""
        found = {}
        for folder, folders, files in os.walk(self.folder):
            if folder == self.folder:
                folders[:] = [name for name in folders if name not in NOT_COMPARED]
                files = [name for name in files if name not in NOT_COMPARED]
            for name in folders:
                found[os.path.relpath(os.path.join(folder, name), self.folder)] = None
            for name in files:
                path = os.path.join(folder, name)
                with open(path, 'rb') as stream:
                    digest = hashlib.sha256(stream.read()).hexdigest()
                found[os.path.relpath(path, self.folder)] = digest
        return found


class Section(dict):
    """Options by name, as attributes too; None for one that no file sets."""

    def __getattr__(self, name):
        return self.get(name)


def load(service, paths):
    """Return what files set, as the service itself parses it, and a list of what is wrong.

    The options of [DEFAULT] and the sections are items and attributes of what is returned.

    :param service: one of NAMESPACES in tests/devstack/options.py
    """
    done = processes.run([sys.executable, '-m', 'tests.devstack.options', service, *paths],
                         warm='options_of_' + service, cwd=CHECKOUT)
    if done.code:
        raise AssertionError('%s cannot read %s: %s' % (service, paths, done.errors[-3000:]))
    response = json.loads(done.output)
    loaded = Section(response['values'].pop('DEFAULT', {}))
    for name, options in response['values'].items():
        loaded[name] = Section(options)
    return loaded, response['wrongs']


class StackedGlance(ceph_glance.Glance):
    """The real glance-api, on the files that the phases wrote.

    Two things are put in the place of what the machine lacks: keystone's filter, and the port.
    """

    def __init__(self, gate, **more):
        # The lab's own stores are not used: these files name others.
        super().__init__(gate.folder, {'unused': 'file'}, **more)
        self._gate = gate
        self.log = os.path.join(gate.folder, 'server.log')

    def _write_files(self):
        etc = os.path.join(self.root, 'etc')
        source = self._gate.path('etc/glance')
        # Glance looks for everything in this one folder.
        for name in ('glance-api.conf', 'glance-image-import.conf', 'glance-api-paste.ini'):
            with open(os.path.join(source, name), encoding='utf-8') as stream:
                text = stream.read()
            text = text.replace(GLANCE_URL, self.url).replace(
                'keystonemiddleware.auth_token:filter_factory', 'lab.keystone:filter_factory')
            with open(os.path.join(etc, name), 'w', encoding='utf-8') as stream:
                stream.write(text)
        shutil.rmtree(os.path.join(etc, 'policy.d'), ignore_errors=True)
        if os.path.exists(os.path.join(source, 'policy.d')):
            shutil.copytree(os.path.join(source, 'policy.d'), os.path.join(etc, 'policy.d'))

    def listed(self, token=glance.ADMIN):
        """Return what GET /v2/info/stores returns: [{'id': ..., ...}]."""
        return self.request('GET', '/v2/info/stores', token).json()['stores']
