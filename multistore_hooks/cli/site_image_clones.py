# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks site image clones|flatten``: the disks of servers that are clones of site images.

Disks have to be flat before the hook leaves a compute: stock Nova puts a direct snapshot into the pool
of the parent.
"""

import argparse
import time
from typing import Any
from typing import Iterable
from typing import Iterator
from typing import Tuple

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from multistore_hooks.cli import command
from multistore_hooks.cli import site_image
from multistore_hooks.cli import table
from multistore_hooks.cli import text
from multistore_hooks import exceptions
from multistore_hooks.i18n import _

#: How Nova names the root disk of a server.
_SUFFIX = '_disk'


class WhichSiteImages(exceptions.MultistoreError):
    """Neither names nor --all were given, or both."""

    msg_fmt = _('Name site images, or give --all.')


class Clones(site_image.SiteImageCommand, table.TableCommand):
    """List the disks that are clones of site images, and their servers."""

    shown = ('Site image', 'Pool', 'Disk', 'Server', 'In trash')
    usage = '[NAME ...]'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument('names', metavar='NAME', nargs='*',
                            help='site images, as "site image list" shows them (default: all)')
        return parser

    def take_action(self, arguments: argparse.Namespace) -> Any:
        """Return the columns and the rows."""
        images = self.connect(arguments)
        return self.shown, [
            (text.Name(name), clone.pool, text.Name(clone.disk), text.Name(server_of(clone.disk)),
             clone.in_trash) for name, clone in clones(images, arguments.names)]


class Flatten(site_image.SiteImageCommand):
    """Make disks independent of the site images that they are clones of, one after the other.

    Servers may run meanwhile. Each disk becomes a whole copy in the cluster.
    """

    usage = '{NAME [NAME ...] | --all} [--pause SECONDS]'
    clock: Any = time

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument('names', metavar='NAME', nargs='*',
                            help='site images, as "site image list" shows them')
        parser.add_argument('--all', action='store_true', help='the clones of all site images')
        parser.add_argument('--pause', metavar='SECONDS', type=_seconds, default=10,
                            help='between two disks, for the load on the cluster (default: %(default)s)')
        return parser

    def check(self, arguments: argparse.Namespace) -> None:
        """Refuse to flatten everything unless that is requested."""
        if bool(arguments.names) == arguments.all:
            raise WhichSiteImages()

    def take_action(self, arguments: argparse.Namespace) -> None:
        """Flatten them; the exit code is 1 if one is still a clone."""
        images = self.connect(arguments)
        found = [(name, clone) for name, clone in clones(images, arguments.names) if not clone.in_trash]
        for number, (name, clone) in enumerate(found):
            if number:
                self.clock.sleep(arguments.pause)
            disk = '%s/%s' % (clone.pool, clone.disk)
            try:
                images.flatten(clone)
            except cluster.Missing:
                self.app.stdout.write('%s is gone\n' % text.escaped(disk))
            except (cluster.ClusterError, cluster.Busy) as error:
                self._code = command.NOT_ALL
                self.print_error('%s is still a clone of %s: %s' % (disk, name, error))
            else:
                self.app.stdout.write('%s is flat (%d of %d)\n'
                                      % (text.escaped(disk), number + 1, len(found)))


def clones(images: site_images.SiteImages, names: Iterable[str]) -> Iterator[Tuple[str, site_images.Clone]]:
    """Yield the clones of site images, by the names of these; of all if no name is given.

    :raises ClusterError: they cannot be read.
    """
    for name in sorted(names or images.names()):
        if site_image_record.image_of(name) is None:
            raise site_image.NoSiteImage(name=name)
        try:
            children = images.clones(name)
        except cluster.Missing as error:
            if names:
                raise site_image.NoSiteImage(name=name) from error
            continue  # removed meanwhile
        for clone in sorted(children):
            yield name, clone


def server_of(disk: str) -> str:
    """Return the id of the server whose root disk this is, or an empty text."""
    return disk[:-len(_SUFFIX)] if disk.endswith(_SUFFIX) else ''


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds < float('inf'):
        raise argparse.ArgumentTypeError('not a number of seconds: %s' % value)
    return seconds
