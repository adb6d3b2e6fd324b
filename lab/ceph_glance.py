# SPDX-License-Identifier: Apache-2.0
"""The lab's Glance with stores in the lab's Ceph clusters.

    with Ceph(...) as a, Ceph(...) as b:
        stores = {'central': 'file', 'dcn1': store(a), 'dcn10': store(b, weight=10)}
        with Glance(root, stores, policy={'copy_image': ''}) as glance:
            ...
"""

import calendar
import contextlib
import json
import os
import sqlite3
import time
import typing

from lab import ceph
from lab import glance
from lab import glance_config
from lab import ini

# Images that the tests make are smaller than the default of 8 MB would be good for.
CHUNK_MB = 4


class Copy(typing.NamedTuple):
    """A copy that Glance was requested to make: its task's status, and times since the epoch."""

    stores: typing.Tuple[str, ...]
    status: str
    asked: float
    changed: float


def store(cluster: ceph.Ceph, pool: str = 'images', **options: typing.Any
          ) -> typing.Tuple[str, typing.Dict[str, typing.Any]]:
    """Return an RBD store in a cluster, for the stores of a lab's Glance.

    :param options: further options of the store, such as weight.
    """
    return glance_config.rbd_store(cluster.conf, cluster.user, pool, **dict(
        {'rbd_store_chunk_size': CHUNK_MB}, **options))


class Glance(glance.Glance):
    """A lab's Glance that finds librados and librbd, with policies and ways of import.

    :param policy: {rule: check string} over Glance's own; {'copy_image': ''} lets everybody copy
    :param import_methods: enabled_import_methods
    :param locations: show_multiple_locations and show_image_direct_url; False: the secure setting
    :param conf: as for the lab's Glance; it wins
    """

    def __init__(self, root: str, stores: typing.Dict[str, typing.Any],
                 policy: typing.Optional[typing.Dict[str, str]] = None,
                 import_methods: typing.Sequence[str] = ('glance-direct', 'copy-image'),
                 locations: bool = True,
                 conf: typing.Optional[typing.Dict[str, typing.Dict[str, str]]] = None,
                 **more: typing.Any) -> None:
        self._policy = dict(policy or {})
        self._policy_file = os.path.join(os.path.abspath(root), 'lab-policy.json')
        sections = {
            'DEFAULT': {
                'enabled_import_methods': '[%s]' % ', '.join(import_methods),
                'show_multiple_locations': locations,
                'show_image_direct_url': locations,
            },
            'oslo_policy': {'policy_file': self._policy_file},
        }
        super().__init__(root, stores, conf=ini.merged(sections, conf or {}), **more)

    def start(self) -> None:
        """Start it; its configuration folder is on its PYTHONPATH, so the modules go there."""
        ceph.bindings(os.path.join(self.root, 'etc'))
        with open(self._policy_file, 'w', encoding='utf-8') as policy:
            json.dump(self._policy, policy)
        super().start()

    def copies(self, image_id: str) -> typing.List[Copy]:
        """Return the copies of an image that were requested, oldest first.

        They are read from Glance's database: no request to Glance, and times finer than its API's.
        ``changed`` is when the task ended, if it did.
        """
        database = 'file:%s?mode=ro' % os.path.join(self.root, 'glance.sqlite')
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=60)) as connection:
            rows = connection.execute(
                'SELECT info.input, task.status, task.created_at, task.updated_at'
                ' FROM tasks task JOIN task_info info ON info.task_id = task.id'
                ' WHERE task.image_id = ? ORDER BY task.created_at', (image_id,)).fetchall()
        return [Copy(tuple(json.loads(asked).get('backend') or ()), status,
                     _since_epoch(created), _since_epoch(changed))
                for asked, status, created, changed in rows]


def _since_epoch(text: str) -> float:
    """Return the seconds for a time of the database, as '2020-01-31 12:00:00.500000' in UTC."""
    whole, _, fraction = text.partition('.')
    return calendar.timegm(time.strptime(whole, '%Y-%m-%d %H:%M:%S')) + float('0.' + (
        fraction or '0'))
