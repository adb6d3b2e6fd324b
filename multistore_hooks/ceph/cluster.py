# SPDX-License-Identifier: Apache-2.0
"""A connection to the site's own Ceph cluster, with limits on waiting.

The modules rados and rbd are those of the service, which hands them in, and so is the way to call them: under
eventlet a call of librados would stop the whole process, and has to be made in a native thread.
"""

import json
import select
import threading
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import TypeVar

T = TypeVar('T')

#: Seconds for which librados waits for a cluster that is away; by default it does so without a limit.
TIMEOUTS = {'client_mount_timeout': '5', 'rados_osd_op_timeout': '5', 'rados_mon_op_timeout': '5'}


class ClusterError(Exception):
    """The cluster was not reached, or refused; it may pass."""


class PoolUnusable(ClusterError):
    """There is no such pool, or this Ceph user may not do that in it."""


class Missing(Exception):
    """There is no such object or image."""


class Busy(Exception):
    """Another client holds the lock."""


class Access(NamedTuple):
    """How to reach a cluster.

    ``run(function, *args)`` calls a function, in a native thread if need be; see :func:`call_natively`.
    ``conf_file``: '' lets librados search for it, None reads none. ``cluster_name``: $cluster in paths of
    keyrings and of that search; None is librados's own default.
    """

    rados: Any
    rbd: Any
    conf_file: Optional[str]
    user: Optional[str]
    run: Callable[..., Any]
    cluster_name: Optional[str] = None


def on_eventlet() -> bool:
    """Return whether this process runs on eventlet, which then has replaced select."""
    # time.sleep does not show it: os-brick (Wallaby and later) replaces that again.
    return str(select.select.__module__).startswith('eventlet.')


def call_natively(function: Callable[..., T], *args: Any) -> T:
    """Call a function; in a native thread where the process runs on eventlet, as Nova and Cinder do."""
    if on_eventlet():
        from eventlet import tpool
        return tpool.execute(function, *args)  # type: ignore[no-any-return]
    return function(*args)


class Cluster:
    """A connection, which is made when it is needed, and anew after it has failed.

    Its calls are safe from several threads; they are made one after the other.
    """

    def __init__(self, access: Access, timeouts: Mapping[str, str] = TIMEOUTS) -> None:
        self._access, self._timeouts = access, timeouts
        self._lock = threading.Lock()
        self._connection: Optional[Any] = None
        self._pools: Dict[str, Any] = {}

    def call(self, pool: str, function: Callable[[Any], T]) -> T:
        """Call a function with the ioctx of a pool; see :meth:`call_across`."""
        return self.call_across((pool,), function)

    def call_across(self, pools: Iterable[str], function: Callable[..., T]) -> T:
        """Call a function with the ioctx of each pool, where librados may be used.

        It must not log or lock: it runs in a native thread.

        :raises Missing: the object or image does not exist.
        :raises Busy: another client holds the lock.
        :raises ClusterError: anything else (PoolUnusable: of the pool).
        """
        with self._lock:
            # What runs it may be a thread pool's execute(), which has no types.
            return self._access.run(self._translated, pools, function)  # type: ignore[no-any-return]

    def _translated(self, pools: Iterable[str], function: Callable[..., T]) -> T:
        rados, rbd = self._access.rados, self._access.rbd
        try:
            return function(*[self._open(pool) for pool in pools])
        except (rados.ObjectBusy, rados.ObjectExists) as error:
            raise Busy(str(error)) from error
        except (rados.ObjectNotFound, rados.NoData, rbd.ImageNotFound) as error:
            raise Missing(str(error)) from error
        except (rados.PermissionError, rbd.PermissionError) as error:
            raise PoolUnusable(str(error)) from error
        except (rados.Error, rbd.Error) as error:
            self._disconnect()
            raise ClusterError(str(error) or type(error).__name__) from error

    def _open(self, pool: str) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        if pool not in self._pools:
            try:
                self._pools[pool] = self._connection.open_ioctx(pool)
            except self._access.rados.ObjectNotFound as error:
                raise PoolUnusable(str(error)) from error
        return self._pools[pool]

    def _connect(self) -> Any:
        access, connection = self._access, None
        try:
            connection = access.rados.Rados(rados_id=access.user, clustername=access.cluster_name,
                                            conffile=access.conf_file, conf=dict(self._timeouts))
            connection.connect()
        except Exception as error:
            if connection is not None:
                connection.shutdown()
            if isinstance(error, access.rados.ObjectNotFound):  # no configuration file, no keyring
                raise ClusterError(str(error)) from error
            raise
        return connection

    def image_exists(self, pool: str, image: str, snapshot: Optional[str] = None) -> bool:
        """Return whether an RBD image exists, and has a snapshot of that name.

        :raises ClusterError: it cannot be determined.
        """
        try:
            self.call(pool, lambda ioctx: self._access.rbd.Image(
                ioctx, image, snapshot=snapshot, read_only=True).close())
        except Missing:
            return False
        return True

    def fsid(self, pool: str) -> str:
        """Return the cluster's id, when a pool of it is reached.

        :raises ClusterError: it is not.
        """
        # Here and below: call() has made the connection before it calls the function.
        return self.call(pool, lambda _ioctx: str(self._connection.get_fsid()))  # type: ignore[union-attr]

    def option(self, pool: str, name: str) -> str:
        """Return an option of Ceph's as this client has it, when a pool is reached.

        :raises ClusterError: it is not.
        """
        return self.call(
            pool, lambda _ioctx: str(self._connection.conf_get(name)))  # type: ignore[union-attr]

    def room(self, pool: str) -> Tuple[int, int]:
        """Return the bytes that a pool holds, and those that it can take yet, copies of them left out.

        :raises ClusterError: the cluster does not report it, as without a manager.
        """
        command = json.dumps({'prefix': 'df', 'format': 'json'})
        _code, text, _error = self.call(
            pool, lambda _ioctx: self._connection.mon_command(command, b''))  # type: ignore[union-attr]
        try:
            found = next(entry['stats'] for entry in json.loads(text)['pools'] if entry['name'] == pool)
            room = int(found.get('stored', found['bytes_used'])), int(found['max_avail'])
        except (ValueError, KeyError, StopIteration) as error:
            raise ClusterError('the cluster does not report the room of the pool %s: %s' % (pool, error))
        if not any(room):
            raise ClusterError('the cluster does not report the room of the pool %s' % pool)
        return room

    def close(self) -> None:
        """Close the connection; the next call makes another one."""
        with self._lock:
            self._access.run(self._disconnect)

    def _disconnect(self) -> None:
        for pool in self._pools.values():
            pool.close()
        if self._connection is not None:
            self._connection.shutdown()
        self._connection, self._pools = None, {}
