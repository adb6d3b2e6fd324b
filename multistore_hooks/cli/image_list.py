# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image list``."""

import argparse
import datetime
import time
from typing import Any
from typing import Iterable
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import store_names
from multistore_hooks.cli import table
from multistore_hooks.cli import text
from multistore_hooks.cli import upkeep
from multistore_hooks.stores import inventory
from multistore_hooks.stores import selection
from multistore_hooks.stores import units
from multistore_hooks.stores import usage


def add_usage(parser: argparse.ArgumentParser) -> None:
    """Add where it is known from when an image was used last."""
    parser.add_argument('--usage', metavar='FILE',
                        help="lines IMAGE,TIME: when each image was used last, or 'in use'")


def read_usage(arguments: argparse.Namespace, world: upkeep.World,
               subjects: Sequence[inventory.Subject]) -> selection.Usage:
    """Return when images were used last, by the file and by what can be read of the stores."""
    found = usage.of_places(subjects, world.reached) if world.reached else {}
    if arguments.usage:
        for image_id, when in usage.read(arguments.usage).items():
            found[image_id] = max(when, found.get(image_id, 0))
    return found


def duration(given: str) -> int:
    """Return the seconds of a duration, for argparse."""
    try:
        return units.seconds_of(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error))


class List(upkeep.UpkeepCommand):
    """List images by where they are, are not, and how long nothing has used them."""

    shown = ('ID', 'Name', 'Status', 'Size', 'Stores', 'Last Used')
    usage = ('[--store STORE,...] [--not-in STORE,...] [--unused-for DURATION] [--usage FILE]'
             + upkeep.REACH)
    exit_codes = 'Exit code: 0 success; 2 a store does not exist, or Glance cannot be reached.'

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('--store', metavar='STORE,...', action='append',
                            help='images in any of these stores')
        parser.add_argument('--not-in', metavar='STORE,...', action='append',
                            help='images that are in none of these stores')
        parser.add_argument('--unused-for', metavar='DURATION', type=duration,
                            help='images that nothing has used for so long, such as 60d; those of which '
                                 'it is not known are left out')
        add_usage(parser)
        self.add_reach(parser)

    def take_action(self, arguments: argparse.Namespace) -> Tuple[Sequence[str], Iterable[Any]]:
        """Return the table."""
        world = self.world(arguments, detailed=False)
        subjects = world.subjects()
        if arguments.store:
            wanted = set(store_names.parse(arguments.store, '--store', world.stores, writable=False))
            subjects = [subject for subject in subjects if wanted & set(subject.stores)]
        if arguments.not_in:
            unwanted = set(store_names.parse(arguments.not_in, '--not-in', world.stores, writable=False))
            subjects = [subject for subject in subjects
                        if subject.stores and not unwanted & set(subject.stores)]
        used = read_usage(arguments, world, subjects)
        if arguments.unused_for is not None:
            since = time.time() - arguments.unused_for
            subjects = [subject for subject in subjects
                        if (selection.last_used(subject, used) or inventory.IN_USE) < since]
        readable = arguments.formatter == 'table'
        return self.shown, [
            (subject.id, text.Name(subject.name), subject.status,
             units.show_bytes(subject.size) if readable else subject.size, table.Names(subject.stores),
             _shown(selection.last_used(subject, used))) for subject in subjects]


def _shown(when: Any) -> str:
    if when is None:
        return ''
    if when == inventory.IN_USE:
        return 'in use'
    return datetime.datetime.utcfromtimestamp(when).strftime('%Y-%m-%dT%H:%M:%SZ')
