# SPDX-License-Identifier: Apache-2.0
"""What the demo needs before it can upload: two Glances with base images, and a patched Nova."""

import concurrent.futures
import os
import shutil
import sys
import typing

from lab.demo import cases
from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from lab.nova import tree
from lab import paths
from lab.poll import LabError
from lab import processes

MIB = 1 << 20
TOKEN = 'demo:demo:member,reader'


class Site(typing.NamedTuple):
    """A Glance, and the ids of its base images by their names in `cases.BASES`."""

    glance: Glance
    bases: typing.Dict[str, str]


def glance(folder: str, filtered: bool, port: typing.Optional[int]) -> Glance:
    """Return a Glance that is not started yet, with or without our filter in its pipeline."""
    return Glance(
        os.path.join(folder, 'glance-filter' if filtered else 'glance'),
        stores={name: 'file' for name in cases.STORES}, default=cases.DEFAULT,
        filters=[BASE_IMAGE_FILTER] if filtered else [], port=port, faults=True)


def start(glances: typing.Sequence[Glance]) -> typing.List[Site]:
    """Start the Glances side by side, and give them their base images.

    :raises LabError: one did not start.
    """
    with concurrent.futures.ThreadPoolExecutor(len(glances)) as pool:
        return list(pool.map(_start, glances))


def _start(one: Glance) -> Site:
    one.start()
    bases = {name: one.add_image(os.urandom(MIB // 4), stores, TOKEN, name='base image ' + name)
             for name, stores in cases.BASES.items()}
    response = one.request('DELETE', '/v2/images/' + bases['deleted'])
    if response.status != 204:
        raise LabError('the base image was not deleted: %r' % response)
    return Site(one, bases)


def private_nova(target: str) -> str:
    """Make a copy of the installed Nova that can be patched; return its folder.

    Only the folders that the patch reaches are copied, the others are symbolic links: the patch
    tool follows none.
    """
    package = tree.locate(sys.executable)
    for below in ('nova', 'nova/virt'):
        os.makedirs(os.path.join(target, below))
    for below in ('nova', 'nova/virt'):
        with os.scandir(os.path.join(os.path.dirname(package), below)) as entries:
            for entry in entries:
                copy = os.path.join(target, below, entry.name)
                if entry.is_file():
                    shutil.copy2(entry.path, copy)
                elif entry.name == '__pycache__':
                    shutil.copytree(entry.path, copy)
                elif not os.path.isdir(copy):
                    os.symlink(entry.path, copy)
    _link_metadata(os.path.dirname(package), target)
    return target


def _link_metadata(folder: str, target: str) -> None:
    # The release's number is in there: the patch tool and Nova itself want to know it.
    for name in os.listdir(folder):
        if name.startswith('nova') and name.endswith('-info'):
            os.symlink(os.path.join(folder, name), os.path.join(target, name))


def patch(root: str) -> None:
    """Patch a Nova as an operator does: ``multistore-hooks patch apply nova``.

    :raises LabError: the tool refuses.
    """
    done = processes.run([sys.executable, '-m', 'multistore_hooks.cli.main', 'patch', 'apply', 'nova',
                          '--root', root], cwd=paths.CHECKOUT)
    if done.code:
        raise LabError(done.errors.strip() or 'multistore-hooks patch apply nova: exit code %d' % done.code)
