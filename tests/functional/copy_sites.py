# SPDX-License-Identifier: Apache-2.0
"""Two sites with a Ceph cluster each, one Glance, and compute hosts, for the tests of copy, then clone.

Clusters, Glances and hosts are shared by the tests of a process; each host is a process of its own.
"""

import atexit
import contextlib
import hashlib
import importlib.util
import os
import sqlite3
import sys
import unittest

import testtools
from testtools.matchers import StartsWith

from lab import ceph
from lab import ceph_glance
from lab.glance import ADMIN
from lab.nova import compute_hosts
from lab import poll
from tests.functional import nova_runs
from tests.functional import shared

MISSING = [name for name in ('nova', 'glance', 'gunicorn') if not importlib.util.find_spec(name)]
REASON = ceph.unavailable() or 'not installed here: %s' % ', '.join(MISSING)
STOCK, OURS = nova_runs.STOCK, nova_runs.OURS
MEGABYTE = 1 << 20
# So much that there is time to do something while it is copied.
LARGE = 128
MEMBER = 'user:project:member,reader'
SERVICE = 'user:project:member,reader,service'
NEVER = {'workarounds': {'never_download_image_if_on_rbd': 'true'}}
_glances = {}
_hosts = {}
_data = {}


def glance(name, pools=None, **options):
    """Return the Glance of this name: a file store, dcn1 in the first cluster, dcn10 in the second.

    :param pools: further stores in the first cluster, and their pools.
    """
    if name not in _glances:
        a, b = ceph.sites()
        stores = {'central': 'file', 'dcn1': ceph_glance.store(a), 'dcn10': ceph_glance.store(b)}
        stores.update((more, ceph_glance.store(a, pool)) for more, pool in (pools or {}).items())
        made = ceph_glance.Glance(shared.folder('copy-' + name), stores, faults=True, **options)
        atexit.register(made.stop)
        made.start()
        _glances[name] = made
    return _glances[name]


def credentials(url):
    """Return what [multistore_hooks] needs so that Glance accepts a request for a copy."""
    return {'auth_type': 'admin_token', 'endpoint': url, 'token': ADMIN}


def random(megabytes):
    """Return data that no store can make smaller; the same for the same length."""
    if megabytes not in _data:
        _data[megabytes] = os.urandom(MEGABYTE) * megabytes
    return _data[megabytes]


def base_file(image):
    """Return the name that a downloaded image has in Nova's image cache."""
    return hashlib.sha1(image.encode()).hexdigest()


def boot(image, token=MEMBER, name='server', **more):
    """Return the operation that boots a server; its disk is as large as the image, so that snapshots are."""
    return dict({'operation': 'boot', 'image_ref': image, 'token': token, 'name': name, 'root_gb': 0}, **more)


@unittest.skipIf(ceph.unavailable() or MISSING, REASON)
class SitesTestCase(testtools.TestCase):
    """Hosts of ours at two sites, dcn1 and dcn10, whose requests for copies Glance accepts."""

    name, options = 'shown', {}
    #: The interpreter with Nova, and where Nova is if it is not installed there.
    python, nova_dir = sys.executable, None

    def setUp(self):
        super().setUp()
        self.a, self.b = ceph.sites()
        self.glance = glance(self.name, **self.options)
        self.glance.clear_faults()
        self.glance.forget_requests()

    def host(self, store='dcn1', driver=OURS, allowed=True, number=0, timeout=60, **conf):
        """Return a running host of a site; the same one for the same arguments.

        :param store: images_rbd_glance_store_name; of the first site, unless it is dcn10.
        :param allowed: it has credentials for copies.
        """
        key = (self.name, self.python, store, driver, allowed, number, timeout, repr(conf))
        if key not in _hosts:
            if allowed and driver == OURS:
                conf.setdefault('multistore_hooks', {}).update(credentials(self.glance.url))
            cluster = self.b if store == 'dcn10' else self.a
            _hosts[key] = compute_hosts.Host(compute_hosts.document(
                cluster, self.glance.url, store, timeout_seconds=timeout, conf=conf, token=MEMBER,
                compute_driver=driver, nova_root=nova_runs.root(self.python, self.nova_dir)),
                self.python)
            atexit.register(_hosts[key].stop)
        return _hosts[key]

    def image(self, *stores, megabytes=4, data=None, **properties):
        return self.glance.add_image(
            data or random(megabytes), stores, visibility='public', **properties)

    def boot(self, host, image, **named):
        """Boot a server; return its result, and keep the rest in ``ran``."""
        self.ran = host.run(boot(image, **named))
        return self.ran['results'][0]

    def asked(self, image=''):
        """Return the status of each request for a copy, in their order."""
        return [one['status'] for one in self.glance.requests('POST', image + '/import$')]

    def downloads(self):
        return self.glance.requests('GET', '/file$')

    def said(self):
        return '\n'.join(line['text'] for line in self.ran['log'])

    def change(self, statement, *arguments):
        """Change Glance's database."""
        database = os.path.join(self.glance.root, 'glance.sqlite')
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            connection.execute(statement, arguments)

    def wait_until(self, condition):
        poll.until('it', condition)

    def wait_for_copy(self, image):
        """Wait until Glance copies the image."""
        self.wait_until(lambda: self.glance.image(image).get('os_glance_importing_to_stores'))

    def assertCloned(self, booted, image, cluster, megabytes=4):
        """The disk is a clone of the image in the site's own cluster, with its bytes."""
        self.assertEqual((None, 'clone', 'images/%s@snap' % image),
                         (booted['error'], booted['outcome'], booted['parent']))
        self.assertBytes(cluster.read(booted['disk'], megabytes * MEGABYTE), megabytes)

    def assertBytes(self, found, megabytes=4):
        """What was found begins with the image's data; of megabytes nobody wants to see the difference."""
        if found[:megabytes * MEGABYTE] != random(megabytes):
            self.fail('the bytes differ')

    def assertFlat(self, booted):
        self.assertEqual((None, 'flat'), (booted['error'], booted['outcome']))

    def assertRefused(self, booted, *says):
        """The boot failed as Nova's callers expect it, with a text that says all of this."""
        self.assertEqual('none', booted['outcome'])
        self.assertThat(booted['error'], StartsWith('ImageUnacceptable'))
        for text in says:
            self.assertIn(text, booted['error'])
        self.assertEqual([], self.downloads())
