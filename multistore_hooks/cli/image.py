# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image stores|copy|misplaced``, and the same verbs for openstackclient."""

import argparse
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import command
from multistore_hooks.cli import image_copies
from multistore_hooks.cli import image_lookup
from multistore_hooks.cli import misplaced
from multistore_hooks.cli import overview
from multistore_hooks.cli import progress
from multistore_hooks.cli import session
from multistore_hooks.cli import store_names
from multistore_hooks.cli import table
from multistore_hooks.copy import limits
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks import options

#: Seconds between two polls of a copy: with progress bars, and with log lines.
BARS_EVERY, LINES_EVERY = 5, 15
#: How many images are named in a message.
MOST_NAMED = 10

_Table = Tuple[Sequence[str], Iterable[Any]]


class SingleStore(exceptions.MultistoreError):
    """This Glance has one store only."""

    msg_fmt = _('This Glance does not have several stores: enabled_backends in glance-api.conf is not set.')


class StoreAmongImages(exceptions.MultistoreError):
    """A store stands where images are named, as after ``--to a b``."""

    msg_fmt = _("'%(name)s' is a store, and there is no image of that id or name. Several stores are written "
                'after --to with commas and no spaces.')


class GlanceCommand(table.TableCommand):
    """A command that sends requests to Glance and prints a table."""

    refusals = ((api.GlanceError, 'Glance refuses'),)
    exit_codes = ''
    #: The command line without the options that all have; those of the cloud alone are twenty.
    usage = ''

    def get_epilog(self) -> str:
        """Return the text after the list of options."""
        return self.exit_codes

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        self.add_arguments(parser)
        self.add_cloud_options(parser)
        parser.usage = overview.usage(prog_name, self.usage + ' [-f FORMAT] [-c COLUMN] [OPTION ...]')
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what only this command has."""

    def add_cloud_options(self, parser: argparse.ArgumentParser) -> None:
        """Add how to find the cloud; they may stand before the command too."""
        session.add_options(parser)

    def connect(self, arguments: argparse.Namespace) -> session.Connection:
        """Return the connection to Glance."""
        given = {name: value for name, value in vars(self.app.options).items() if value is not None}
        return session.connect(argparse.Namespace(**dict(vars(arguments), **given)))

    def find(self, images: image_lookup.Images, wanted: Sequence[str],
             stores: Optional[api.Stores] = None) -> List[api.Image]:
        """Return the images of ids or names, each once; report missing ones, and set the exit code.

        :param stores: Glance's, where the name of one among the images may be meant for ``--to``
        """
        found: Dict[str, api.Image] = {}
        for name in wanted:
            try:
                image = images.find(name)
            except (image_lookup.ImageNotFound, image_lookup.NameNotUnique) as error:
                meant = stores is not None and stores.get(name) is not None
                self._code = self.end(str(StoreAmongImages(name=name) if meant else error), command.REFUSED)
            else:
                found[image.id] = image
        return list(found.values())


class Stores(GlanceCommand):
    """List the stores that hold images, that they are being copied to, and of failed copies."""

    shown = ('ID', 'Name', 'Status', 'Stores', 'Copying To', 'Failed')
    usage = '[IMAGE ...]'
    exit_codes = 'Exit code: 0 success; 2 an image does not exist, or Glance cannot be reached.'

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('images', metavar='IMAGE', nargs='*',
                            help='id or name of an image (default: all that Glance lists)')

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Return the table."""
        images = image_lookup.Images(self.connect(arguments).run)
        found: Iterable[api.Image]
        if arguments.images:
            found = self.find(images, arguments.images)
            if not found:
                raise command.AlreadyReported()
            if any(image.status == 'active' and not image.stores for image in found):
                some_stores(images)
        else:
            some_stores(images)
            found = images.all()
        return self.shown, [
            (image.id, image_lookup.name_of(image), image.status, table.Names(image.stores),
             table.Names(image.importing_to), table.Names(image.failed_import)) for image in found]


class _Copying(GlanceCommand):
    """Common to the commands that copy."""

    copied = ('ID', 'Name', 'Store', 'Result', 'Reason')

    def add_copy_options(self, parser: argparse.ArgumentParser) -> None:
        """Add how to copy."""
        parser.add_argument('--wait', action='store_true',
                            help='wait until the images are copied; without it, only request the copies')
        parser.add_argument('--parallel', metavar='N', type=positive, default=4,
                            help='how many images to copy at once (default: 4)')
        parser.add_argument('--timeout', metavar='SECONDS', type=positive, default=3600,
                            help='how long to wait for each image and store (default: 3600)')

    def copy(self, arguments: argparse.Namespace, connection: session.Connection,
             wanted: Sequence[image_copies.Wanted]) -> _Table:
        """Copy the images, report failures, and return the table of results."""
        bars = progress.make_progress(self.app.stdout) if arguments.wait else progress.NullProgress()
        how = image_copies.How(
            arguments.wait,
            limits.Limits(arguments.timeout, arguments.timeout, BARS_EVERY if bars.active else LINES_EVERY),
            arguments.parallel)
        try:
            results = image_copies.copy(connection.run, wanted, how, bars)
        except KeyboardInterrupt:
            self.print_error('Glance continues the copies that it has accepted; run the same command again '
                             'with --wait to wait for them.')
            raise
        for result in results:
            if result.state == image_copies.FAILED:
                self.print_error(result.why)
                self._code = command.NOT_ALL
        # A reason is longer than a table is wide, and it has been said.
        columns = self.copied[:-1] if arguments.formatter == 'table' else self.copied
        return columns, [
            (result.image.id, image_lookup.name_of(result.image), result.store, result.state,
             result.why)[:len(columns)] for result in results]


class Copy(_Copying):
    """Have Glance copy images to more stores.

    Copies that exist are left alone, and those in progress are waited for: after an interruption, run the
    same command again.
    """

    shown = _Copying.copied
    usage = 'IMAGE [IMAGE ...] --to STORE,... [--wait] [--parallel N] [--timeout SECONDS]'
    exit_codes = ('Exit code: 0 all images are in all stores or, without --wait, Glance has accepted the '
                  'copies; 1 some copies failed; 2 an image or a store does not exist, or Glance cannot be '
                  'reached: nothing was copied; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('images', metavar='IMAGE', nargs='+', help='id or name of an image')
        parser.add_argument('--to', metavar='STORE,...', action='append', required=True,
                            help="ids of stores, with commas between them; 'all'; or the path of a file that "
                                 'lists them')
        self.add_copy_options(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Copy, and return the table of results."""
        connection = self.connect(arguments)
        images = image_lookup.Images(connection.run)
        stores = some_stores(images)
        wanted = store_names.parse(arguments.to, '--to', stores)
        found = self.find(images, arguments.images, stores)
        if self._code != command.OK:
            raise command.AlreadyReported()
        return self.copy(arguments, connection, [image_copies.Wanted(image, wanted) for image in found])


class Misplaced(_Copying):
    """List the images that are not where their base image is, and copy them there.

    The base image of a snapshot is in its property base_image_ref, which Nova writes. Cinder writes
    no such property for an uploaded volume; any image that has the property is checked.
    """

    listed = ('ID', 'Name', 'Stores', 'Base Image', 'Missing In')
    shown = tuple(dict.fromkeys(listed + _Copying.copied))
    usage = '[IMAGE ...] [--colocate {all,primary}] [--fix [--wait] [--parallel N] [--timeout SECONDS]]'
    exit_codes = ('Exit code: 0 no image is misplaced or, with --fix, Glance copies them (with --wait: has '
                  'copied them); 1 some are misplaced or, with --fix, some copies failed; 2 an image does '
                  'not exist, or Glance cannot be reached; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('images', metavar='IMAGE', nargs='*',
                            help='id or name of an image (default: all that Glance lists)')
        parser.add_argument('--fix', action='store_true',
                            help='copy them to the stores where they are missing')
        parser.add_argument(
            '--colocate', choices=(options.ALL, options.PRIMARY),
            help="all: an image belongs into every store of its base image; primary: into one of them "
                 "(default: primary for Nova's snapshots, all for other images)")
        self.add_copy_options(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Return the misplaced images or, if they are to be copied, the table of results."""
        connection = self.connect(arguments)
        images = image_lookup.Images(connection.run)
        stores = some_stores(images)
        candidates, known = self._candidates(images, arguments.images)
        if self._code != command.OK:
            raise command.AlreadyReported()
        found = self._judge(images, candidates, known, stores, arguments.colocate)
        if not found and arguments.formatter == 'table':
            self.print_error('no image is misplaced')
        if arguments.fix:
            return self.copy(arguments, connection,
                             [image_copies.Wanted(entry.image, entry.missing) for entry in found])
        self._code = command.NOT_ALL if found else command.OK
        return self.listed, [
            (entry.image.id, image_lookup.name_of(entry.image), table.Names(entry.image.stores),
             entry.base.id, table.Names(entry.missing)) for entry in found]

    def _candidates(self, images: image_lookup.Images,
                    wanted: Sequence[str]) -> Tuple[List[api.Image], Dict[str, api.Image]]:
        """Return the images that have a base image, and all that were seen, by id."""
        candidates: List[api.Image] = []
        known: Dict[str, api.Image] = {}
        for image in self.find(images, wanted) if wanted else images.all():
            if misplaced.base_of(image):
                candidates.append(image)
            known[image.id] = image._replace(record={})  # there may be very many
        return candidates, known

    def _judge(self, images: image_lookup.Images, candidates: Sequence[api.Image],
               known: Dict[str, api.Image], stores: api.Stores,
               colocate: Optional[str]) -> List[misplaced.Misplaced]:
        found, unknown = [], []
        bases: Dict[str, Optional[api.Image]] = dict(known)
        for image in candidates:
            base_id = misplaced.base_of(image) or ''
            if base_id not in bases:
                try:
                    bases[base_id] = images.image(base_id)
                except (api.NotFound, api.Forbidden):
                    bases[base_id] = None
            base = bases[base_id]
            if base is None:
                unknown.append(image.id)
                continue
            stores_missing = misplaced.missing(image, base, stores, misplaced.colocate_for(image, colocate))
            if stores_missing:
                found.append(misplaced.Misplaced(image, base, stores_missing))
        if unknown:
            more = ', ...' if len(unknown) > MOST_NAMED else ''
            self.print_error('not judged, because the base image does not exist or may not be seen: %d (%s%s)'
                             % (len(unknown), ', '.join(unknown[:MOST_NAMED]), more))
        return found


def some_stores(images: image_lookup.Images) -> api.Stores:
    """Return Glance's stores.

    :raises SingleStore: it does not have several
    """
    stores = images.stores()
    if not stores.stores:
        raise SingleStore()
    return stores


def positive(given: str) -> int:
    """Return a number above 0, for argparse."""
    number = int(given) if given.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("'%s' is not a whole number above 0" % given)
    return number
