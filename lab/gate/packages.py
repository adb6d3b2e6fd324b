# SPDX-License-Identifier: Apache-2.0
"""The modules of Debian's Python that the gate's environment needs; bindep.txt names all packages."""

import os
import shutil
import subprocess
import typing

from lab import compat

#: Modules for the distribution's own Python, and what each consists of.
MODULES = {
    'python3-libvirt': ('libvirt.py', 'libvirt_qemu.py', 'libvirtmod.{abi}.so',
                        'libvirtmod_qemu.{abi}.so'),
    'python3-rados': ('rados.{abi}.so',), 'python3-rbd': ('rbd.{abi}.so',),
}
DISTRIBUTION = '/usr/lib/python3/dist-packages'
OLD_PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'programs', 'old_python.py')


class Missing(Exception):
    """Something is not there; the text says what."""


def link_modules(venv: str) -> None:
    """Have the distribution's modules for libvirt and Ceph in a virtual environment.

    By links to nothing but them: other packages of the distribution would take the place of the
    environment's own.

    :raises Missing: the environment's Python is another than the distribution's.
    """
    packages, abi = _modules_of(venv)
    for package, names in MODULES.items():
        for name in names:
            name = name.format(abi=abi)
            source, link = os.path.join(DISTRIBUTION, name), os.path.join(packages, name)
            if not os.path.exists(source):
                raise Missing('%s has no %s: the environment "gate" must be of the Python that is '
                              "the distribution's own" % (package, name))
            if not os.path.islink(link):
                os.symlink(source, link)


def restore_python(venv: str) -> None:
    """Have every Python of an environment run programs/old_python.py when it starts."""
    folder = _modules_of(venv)[0]
    shutil.copyfile(compat.__file__, os.path.join(folder, 'gate_compat.py'))
    shutil.copyfile(OLD_PYTHON, os.path.join(folder, 'gate_old_python.py'))
    with open(os.path.join(folder, 'gate_old_python.pth'), 'w', encoding='utf-8') as stream:
        stream.write('import gate_old_python\n')


def _modules_of(venv: str) -> typing.Tuple[str, str]:
    """Return the folder of an environment's modules, and the name of its binary interface."""
    python = os.path.join(venv, 'bin', 'python')
    packages, abi = subprocess.run(
        [python, '-c', 'import sysconfig as s; print(s.get_path("platlib"));'
         ' print(s.get_config_var("SOABI"))'], stdout=subprocess.PIPE, check=True,
        universal_newlines=True).stdout.split()
    return packages, abi
