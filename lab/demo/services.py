# SPDX-License-Identifier: Apache-2.0
"""What the demo needs before it can upload: two Glances with base images, and a patched Nova."""

import os
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
RIGHTS = 'demo:member,reader'


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


def start(one: Glance) -> Site:
    """Start a Glance, and give it its base images.

    :raises LabError: it did not start.
    """
    one.start()
    bases = {name: one.add_image(os.urandom(MIB // 4), stores, 'demo:' + RIGHTS, name='base image ' + name)
             for name, stores in cases.BASES.items()}
    response = one.request('DELETE', '/v2/images/' + bases['deleted'])
    if response.status != 204:
        raise LabError('the base image was not deleted: %r' % response)
    return Site(one, bases)


def patched_nova(root: str) -> str:
    """Patch a Nova beside the installed one, as an operator does; return its folder.

    :raises LabError: the tool refuses.
    """
    tree.overlay(tree.locate(sys.executable), root, {})
    done = processes.run([sys.executable, '-m', 'multistore_hooks.cli.main', 'patch', 'apply', 'nova',
                          '--root', root], cwd=paths.CHECKOUT)
    if done.code:
        raise LabError(done.errors.strip() or 'multistore-hooks patch apply nova: exit code %d' % done.code)
    return root
