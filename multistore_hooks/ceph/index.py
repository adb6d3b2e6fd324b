# SPDX-License-Identifier: Apache-2.0
"""Records by key, in the map of one RADOS object: all changes of a call happen, or none does."""

from typing import Any
from typing import Dict
from typing import Iterable
from typing import Mapping

from multistore_hooks.ceph import cluster

#: Records that are read at a time.
PAGE = 500


class Index:
    """The records in one object.

    :param rados: the service's module of that name.
    :param pool: where the object is; the hosts may write it. It need not exist yet.
    """

    def __init__(self, site: cluster.Cluster, rados: Any, pool: str, name: str) -> None:
        self._site, self._rados, self._pool, self._name = site, rados, pool, name

    def read(self, prefix: str = '') -> Dict[str, bytes]:
        """Return the records whose keys begin so.

        :raises ClusterError: they cannot be read.
        """
        def read(ioctx: Any) -> Dict[str, bytes]:
            found: Dict[str, bytes] = {}
            after = ''
            while True:
                with self._rados.ReadOpCtx() as operation:
                    values, _result = ioctx.get_omap_vals(operation, after, prefix, PAGE)
                    ioctx.operate_read_op(operation, self._name)
                    page = list(values)
                found.update(page)
                if len(page) < PAGE:
                    return found
                after = page[-1][0]

        try:
            return self._site.call(self._pool, read)
        except cluster.Missing:
            return {}

    def change(self, values: Mapping[str, bytes], removed: Iterable[str] = ()) -> None:
        """Write records and remove others, in one operation.

        :raises ClusterError: it is not known whether it happened.
        """
        removed = tuple(removed)

        def change(ioctx: Any) -> None:
            with self._rados.WriteOpCtx() as operation:
                if values:
                    ioctx.set_omap(operation, tuple(values), tuple(values.values()))
                if removed:
                    ioctx.remove_omap_keys(operation, removed)
                ioctx.operate_write_op(operation, self._name)

        self._site.call(self._pool, change)
