# SPDX-License-Identifier: Apache-2.0
"""What runs on this host: the services' processes, their interpreters, and what those would import."""

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks.patching import errors
from multistore_hooks.patching import release

#: The programs that a service's processes run, as they stand in its command line.
PROGRAMS = {
    'nova': ('nova-compute',),
    'cinder': ('cinder-volume', 'cinder-api', 'cinder-wsgi'),
    'glance': ('glance-api', 'glance-wsgi-api'),
}
_PYTHON = re.compile(r'python[0-9.]*\Z')
#: Seconds for a program of another Python environment.
_SECONDS = 30

# Finding a top-level package imports nothing of it.
_ASK = """
import importlib.util, json, sys
def folder(name):
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return list(spec.submodule_search_locations or [spec.origin])[0] if spec else None
print(json.dumps({'prefix': sys.prefix, 'version': sys.version.split()[0], 'path': sys.path,
                  'packages': {name: folder(name) for name in sys.argv[1:]}}))
"""
#: What the drivers of glance_store import by themselves, for the types that need something.
DRIVERS = {
    'rbd': ('rados', 'rbd'), 's3': ('boto3',), 'swift': ('swiftclient',),
    'cinder': ('os_brick', 'cinderclient'), 'volume': ('os_brick', 'multistore_hooks'),
    'vmware': ('oslo_vmware',),
}
_PACKAGES = sorted({'multistore_hooks', 'nova', 'cinder', 'glance'}.union(*DRIVERS.values()))


class Process(NamedTuple):
    """A running service."""

    pid: int
    program: str
    #: The interpreter's path; None where the command line does not show it (uwsgi, mod_wsgi).
    python: Optional[str]
    #: When it was started, in seconds since the epoch.
    started: float
    #: It has a file system of its own, as in a container.
    elsewhere: bool
    pythonpath: str
    argv: Tuple[str, ...] = ()


class Interpreter(NamedTuple):
    """A Python, and the folders (or files) of the packages that it would import; None: it has none."""

    python: str
    prefix: str
    version: str
    path: Tuple[str, ...]
    packages: Dict[str, Optional[str]]

    def folder(self, package: str) -> Optional[str]:
        """Return the folder of a package, or None."""
        return self.packages.get(package)

    def release_of(self, distribution: str) -> Optional[str]:
        """Return the version of an installed distribution, or None."""
        try:
            return release.find_version(distribution, [entry for entry in self.path if entry])
        except errors.PatchError:
            return None


class Undetermined(Exception):
    """An interpreter did not report what it would import. One line."""


def processes(service: str, proc: str = '/proc') -> List[Process]:
    """Return the running processes of a service, parents first.

    :param proc: where the kernel shows processes; nothing is found where it does not
    """
    found = []
    for entry in sorted(filter(str.isdigit, _list(proc)), key=int):
        argv = _words(os.path.join(proc, entry, 'cmdline'))
        program, python = _program(argv, PROGRAMS[service])
        if not program:
            continue
        root = os.path.join(proc, entry, 'root')
        pythonpath = [word[len('PYTHONPATH='):] for word in _words(os.path.join(proc, entry, 'environ'))
                      if word.startswith('PYTHONPATH=')]
        found.append(Process(int(entry), program, python, _started(proc, entry),
                             not _same(root, '/'), ''.join(pythonpath), tuple(argv)))
    return found


def describe(python: str, pythonpath: str = '') -> Interpreter:
    """Return what an interpreter would import.

    :raises Undetermined: it cannot be run, or does not respond
    """
    try:
        report = run(python, pythonpath, _ASK, _PACKAGES)
        return Interpreter(python, report['prefix'], report['version'], tuple(report['path']),
                           report['packages'])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise Undetermined('%s does not report what it would import: %s' % (
            python, ' '.join(str(error).split()))) from error


def run(python: str, pythonpath: str, script: str, arguments: Sequence[str], seconds: int = _SECONDS) -> Any:
    """Run a script with an interpreter, as a service would be; return the JSON of its last line.

    :raises OSError: it cannot be run
    :raises subprocess.SubprocessError: it takes too long
    :raises ValueError: it prints no JSON
    """
    environ = {'PATH': os.environ.get('PATH', ''), 'LC_ALL': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1'}
    if pythonpath:
        environ['PYTHONPATH'] = pythonpath
    # Not -I: a service is started without it, and would import what PYTHONPATH names.
    done = subprocess.run([python, '-c', script] + list(arguments), env=environ, cwd='/',
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=seconds, universal_newlines=True)
    return json.loads(done.stdout.strip().rpartition('\n')[2])


def installed(service: str) -> Optional[str]:
    """Return the interpreter that the service's program on PATH names in its first line, or None."""
    for program in PROGRAMS[service]:
        path = shutil.which(program)
        if path:
            return shebang(path)
    return None


def shebang(path: str) -> Optional[str]:
    """Return the interpreter that a script's first line names; None where it names no Python."""
    try:
        with open(path, 'rb') as stream:
            first = stream.readline(4096).decode('utf-8', 'replace')
            second = stream.readline(4096).decode('utf-8', 'replace')
    except OSError:
        return None
    if not first.startswith('#!'):
        return None
    words = shlex.split(first[2:], comments=False) if '"' not in first else first[2:].split()
    if words and os.path.basename(words[0]) == 'env' and words[1:]:
        words = [shutil.which(words[-1]) or words[-1]]
    # pip writes this where the interpreter's path is too long for a first line.
    if words[:1] == ['/bin/sh'] and second.startswith("'''exec'"):
        words = second[len("'''exec'"):].split()
    if words and _PYTHON.search(os.path.basename(words[0].strip('"'))):
        return words[0].strip('"')
    return None


def _program(argv: Sequence[str], programs: Sequence[str]) -> Tuple[str, Optional[str]]:
    """Return which of the programs a command line runs, if any, and its interpreter."""
    names = [os.path.basename(word) for word in argv[:3]]
    for position, name in enumerate(names[:2]):
        if name in programs:
            return name, (argv[0] if position and _PYTHON.search(names[0]) else shebang(argv[0]))
    if names and re.match(r'(uwsgi|gunicorn|apache2|httpd|mod_wsgi)', names[0]):
        joined = ' '.join(argv)
        for program in programs:
            if program in joined:
                return program, None
    return '', None


def _started(proc: str, entry: str) -> float:
    try:
        with open(os.path.join(proc, entry, 'stat'), encoding='utf-8', errors='replace') as stream:
            ticks = int(stream.read().rpartition(')')[2].split()[19])
        with open(os.path.join(proc, 'stat'), encoding='utf-8') as stream:
            boot = next(int(line.split()[1]) for line in stream if line.startswith('btime '))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0
    return boot + ticks / float(os.sysconf('SC_CLK_TCK'))


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return True  # not readable for us, or gone


def _list(folder: str) -> Iterator[str]:
    try:
        return iter(os.listdir(folder))
    except OSError:
        return iter(())


def _words(path: str) -> List[str]:
    """Return what the kernel separates by zeros; nothing where it is not ours to read."""
    try:
        with open(path, 'rb') as stream:
            return stream.read().decode('utf-8', 'replace').rstrip('\0').split('\0')
    except OSError:
        return []
