# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks site image list|remove``: what the hosts of a Ceph cluster made for themselves."""

import argparse
import datetime
import importlib
import time
from typing import Any
from typing import List
from typing import Tuple

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from multistore_hooks.cli import command
from multistore_hooks.cli import overview
from multistore_hooks.cli import table
from multistore_hooks.cli import text
from multistore_hooks import exceptions
from multistore_hooks.i18n import _

PUBLISHED, WITHDRAWN, UNFINISHED = 'published', 'withdrawn', 'unfinished'

Row = Tuple[str, str, Any, str, int, str, str]


class NoCeph(exceptions.MultistoreError):
    """librados is not there."""

    msg_fmt = _('The Python modules rados and rbd are needed (packages python3-rados and python3-rbd): '
                '%(why)s.')


class NoSiteImage(exceptions.MultistoreError):
    """A name that was given is not of a site image that exists."""

    msg_fmt = _('%(name)s is not the name of a site image in this pool.')


class SiteImageCommand(command.Command):
    """A command that works on the site images of a cluster."""

    refusals = tuple((kind, 'the Ceph cluster')
                     for kind in (cluster.ClusterError, cluster.Missing, cluster.Busy))
    #: The command line without the options that all of them have, and those of cliff's tables.
    usage = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('--ceph-conf', metavar='FILE', default='/etc/ceph/ceph.conf',
                            help='[libvirt] images_rbd_ceph_conf of the hosts (default: %(default)s)')
        parser.add_argument('--ceph-user', metavar='NAME', default='nova',
                            help='[libvirt] rbd_user of the hosts (default: %(default)s)')
        parser.add_argument('--pool', metavar='POOL', default='vms',
                            help='[multistore_hooks] site_image_pool or, if that is not set, [libvirt] '
                                 'images_rbd_pool of the hosts (default: %(default)s)')
        parser.usage = overview.usage(prog_name, ' '.join(
            [self.usage, '[--ceph-conf FILE] [--ceph-user NAME] [--pool POOL]']
            + ['[-f FORMAT] [-c COLUMN] [OPTION ...]'] * isinstance(self, table.TableCommand)))
        return parser

    @staticmethod
    def connect(arguments: argparse.Namespace) -> site_images.SiteImages:
        """Return the site images of a pool."""
        try:
            rados, rbd = importlib.import_module('rados'), importlib.import_module('rbd')
        except ImportError as error:
            raise NoCeph(why=error) from error
        access = cluster.Access(rados, rbd, arguments.ceph_conf, arguments.ceph_user, cluster.call_natively)
        return site_images.SiteImages(cluster.Cluster(access), access, arguments.pool)


class Show(SiteImageCommand, table.TableCommand):
    """List the base images that the hosts of a Ceph cluster made for themselves (site images)."""

    shown = ('Name', 'Image', 'Bytes', 'State', 'Clones', 'Made', 'Last used')

    def take_action(self, arguments: argparse.Namespace) -> Any:
        """Return the columns and the rows."""
        return self.shown, [(text.Name(row[0]),) + row[1:] for row in rows(self.connect(arguments))]


class Remove(SiteImageCommand):
    """Remove site images that no disk is a clone of. The next boot makes what it needs again."""

    usage = 'NAME [NAME ...]'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument('names', metavar='NAME', nargs='+', help='as "site image list" shows it')
        return parser

    def take_action(self, arguments: argparse.Namespace) -> None:
        """Remove them; the exit code is 1 if one stays."""
        images = self.connect(arguments)
        for name in arguments.names:
            why = remove(images, name, time.time())
            if why:
                self._code = command.NOT_ALL
                self.print_error('%s is kept: %s' % (name, why))
            else:
                self.app.stdout.write('%s is removed\n' % text.escaped(name))


def rows(images: site_images.SiteImages) -> List[Row]:
    """Return a row for each site image.

    :raises ClusterError: they cannot be read.
    """
    found: List[Row] = []
    known = set()
    for listed in images.list():
        image = listed.image
        known.add(image.name)
        try:
            clones = images.children(image.name)
        except cluster.Missing:
            continue
        found.append((image.name, image.image_id, image.size,
                      PUBLISHED if listed.retired_at is None else WITHDRAWN, clones,
                      _when(image.made_at), _when(listed.used_at)))
    for name in images.names():
        if name not in known:
            found.append((name, site_image_record.image_of(name) or '', '', UNFINISHED, 0,
                          _when(images.created_at(name)), ''))
    return sorted(found, key=lambda row: (row[1], row[0]))


def remove(images: site_images.SiteImages, name: str, now: float) -> str:
    """Remove a site image; return why it is kept, or an empty text.

    :raises ClusterError: it is not known whether it is removed.
    """
    if site_image_record.image_of(name) is None:
        return 'it is not a site image'
    listed = next((one for one in images.list() if one.image.name == name), None)
    if listed is None:
        if name not in images.names():
            return 'there is none of this name'
        if now - images.created_at(name) < site_image_record.LEFTOVER_AGE:
            return 'a host may be making it; what is unfinished can be removed after a day'
        return '' if images.remove(name) else 'it is in use'
    clones = images.children(name)
    if clones:
        return '%d disks are clones of it' % clones
    images.withdraw(listed.image, now)
    if images.remove(name):
        images.forget(listed.image)
        return ''
    if images.is_whole(name):
        images.publish(listed.image)
    return 'it is in use'


def _when(seconds: float) -> str:
    if not seconds:
        return ''
    return datetime.datetime.utcfromtimestamp(seconds).strftime('%Y-%m-%dT%H:%M:%SZ')
