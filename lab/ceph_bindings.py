# SPDX-License-Identifier: Apache-2.0
"""Whether Ceph is installed here, and its Python modules for interpreters that lack them."""

import functools
import importlib.machinery
import pathlib
import shutil
import subprocess
import sys
import typing

PROGRAMS = ('ceph-mon', 'ceph-osd', 'ceph-authtool', 'monmaptool', 'ceph', 'rbd')
MODULES = ('rados', 'rbd')
PACKAGES = 'ceph-mon ceph-osd ceph-mgr ceph-common python3-rados python3-rbd'
DISTRIBUTION = pathlib.Path('/usr/lib/python3/dist-packages')


@functools.lru_cache(maxsize=None)
def unavailable(python: str = sys.executable) -> typing.Optional[str]:
    """Say why there can be no cluster here, or services of this interpreter that use it.

    :returns: None when there is all that is needed
    """
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return 'no %s here (Debian: apt-get install %s)' % (', '.join(missing), PACKAGES)
    if _has_modules(python) or _found(python):
        return None
    return 'no modules rados and rbd for %s (Debian has them for its own Python 3 only: %s)' % (
        python, PACKAGES)


def directory(target: str, python: str = sys.executable) -> str:
    """Make a directory for PYTHONPATH by which an interpreter finds rados and rbd.

    It has nothing but links to the distribution's extension modules: with the distribution's own
    directory on the path, its other packages would take the place of those of a virtual
    environment.

    :param target: the directory to make; made before, it is used again.
    :returns: TARGET; it is empty when the interpreter has the modules already.
    :raises LookupError: the distribution has no modules that fit.
    """
    made = pathlib.Path(target)
    made.mkdir(parents=True, exist_ok=True)
    if _has_modules(python):
        return target
    reason = unavailable(python)
    if reason:
        raise LookupError(reason)
    for module in _found(python):
        if not (made / module.name).is_symlink():
            (made / module.name).symlink_to(module)
    return target


@functools.lru_cache(maxsize=None)
def _has_modules(python: str) -> bool:
    return subprocess.run(
        [python, '-c', 'import %s' % ', '.join(MODULES)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False, cwd='/').returncode == 0


def _found(python: str) -> typing.List[pathlib.Path]:
    """The distribution's modules with the name that this interpreter would look for, or none."""
    suffixes = _suffixes(python)
    found = [path for name in MODULES for path in (
        DISTRIBUTION / (name + suffix) for suffix in suffixes) if path.is_file()]
    return found if len(found) == len(MODULES) else []


@functools.lru_cache(maxsize=None)
def _suffixes(python: str) -> typing.Tuple[str, ...]:
    """The names' ends that name the interpreter's own ABI; the bare '.so' names none."""
    if python == sys.executable:
        suffixes = importlib.machinery.EXTENSION_SUFFIXES
    else:
        asked = subprocess.run(
            [python, '-c', 'import importlib.machinery as m; print(*m.EXTENSION_SUFFIXES)'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, cwd='/')
        suffixes = asked.stdout.decode().split()
    return tuple(suffix for suffix in suffixes if suffix.startswith('.cpython-'))
