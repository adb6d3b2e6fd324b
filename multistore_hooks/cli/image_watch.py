# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image watch``: the copies that go on, until there are none."""

import argparse
import time
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from multistore_hooks import backoff
from multistore_hooks.cli import command
from multistore_hooks.cli import image
from multistore_hooks.cli import image_lookup
from multistore_hooks.cli import progress
from multistore_hooks.cli import table
from multistore_hooks.cli import upkeep
from multistore_hooks.glance_api import api

#: The time, for tests.
CLOCK: Any = time


class Watch(upkeep.UpkeepCommand):
    """Watch all copies in progress until there are none; report how they ended."""

    shown = ('ID', 'Name', 'Stores', 'Failed', 'Result')
    usage = '[IMAGE ...] [--timeout SECONDS]'
    exit_codes = ('Exit code: 0 all copies have ended, and none failed; 1 some failed, or still go on at the '
                  'end of --timeout; 2 an image does not exist, or Glance cannot be reached; 130 stopped by '
                  'Ctrl-C, the copies go on.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('images', metavar='IMAGE', nargs='*',
                            help='id or name of an image (default: all that are being copied)')
        parser.add_argument('--timeout', metavar='SECONDS', type=image.positive, default=24 * 3600,
                            help='how long to watch (default: 86400)')

    def take_action(self, arguments: argparse.Namespace) -> Tuple[Sequence[str], Iterable[Any]]:
        """Wait, and return what came of the copies."""
        connection = self.connect(arguments)
        images = image_lookup.Images(connection.run)
        image.some_stores(images)
        if arguments.images:
            watched = self.find(images, arguments.images)
            if self._code != command.OK:
                raise command.AlreadyReported()
        else:
            watched = [one for one in images.all() if one.import_task]
        if not watched and arguments.formatter == 'table':
            self.print_error('no image is being copied')
        bars = progress.make_progress(self.app.stdout)
        bars.start()
        try:
            ended = self._watch(images, watched, arguments.timeout, bars)
        finally:
            bars.stop()
        rows: List[Any] = []
        for one in watched:
            last = ended.get(one.id, one)
            result = ('image is gone' if last is None else 'goes on' if last.import_task else
                      'failed' if set(last.failed_import) & set(one.importing_to) else 'ended')
            if result in ('goes on', 'failed'):
                self._code = command.NOT_ALL
            shown = last or one
            rows.append((one.id, image_lookup.name_of(one), table.Names(shown.stores),
                         table.Names(shown.failed_import), result))
        return self.shown, rows

    @staticmethod
    def _watch(images: image_lookup.Images, watched: Sequence[api.Image], timeout: float,
               bars: progress.NullProgress) -> Dict[str, Any]:
        """Poll images until none has an import; return the last record of each, None for a deleted one."""
        last: Dict[str, Any] = {one.id: one for one in watched}
        for _waited in backoff.polls(timeout, 15, clock=CLOCK):
            for image_id, one in list(last.items()):
                if one is not None and one.import_task:
                    try:
                        last[image_id] = now = images.image(image_id)
                    except api.NotFound:
                        last[image_id] = now = None
                    except api.GlanceError as error:
                        if api.is_client_error(error):
                            raise
                        continue
                    if now is None or not now.import_task:
                        bars.hide(image_id)
                    else:
                        stores = now.importing_to
                        bars.show(image_id, progress.Row(
                            image_lookup.name_of(now) or image_id, now.size, len(stores),
                            store=stores[0] if stores else ''))
            if not any(one is not None and one.import_task for one in last.values()):
                break
        return last
