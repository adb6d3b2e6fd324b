# SPDX-License-Identifier: Apache-2.0
"""What a Ceph user may do in a pool, and which images the pool holds. Nothing is changed.

That a pool can be written is found out by a request that cannot be obeyed: to remove an attribute of an
object that does not exist. The cluster checks the user's capabilities first, so its error is the result.
"""

from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import TypeVar

from multistore_hooks.ceph import cluster
from multistore_hooks.stores import places

#: No image, and no object of another program, has this name.
NO_OBJECT = 'multistore-status.no-such-object'
DEFAULT_CONF = '/etc/ceph/ceph.conf'
ALLOWED = ''

_Result = TypeVar('_Result')


class User(NamedTuple):
    """A user of a Ceph cluster: one for each pair of ceph.conf and name."""

    conf_file: str
    name: Optional[str]

    def __str__(self) -> str:
        return 'client.%s' % (self.name or 'admin')


class Rights(NamedTuple):
    """Why a pool cannot be read, and why it cannot be written; ALLOWED: it can."""

    read: str
    write: str


class Undetermined(Exception):
    """The cluster was not reached, or not with this user. One line."""


class Pools:
    """The pools that this host reaches.

    :param modules: rados and rbd; default: as they are installed here, if they are
    """

    def __init__(self, modules: Optional[Tuple[Any, Any]] = None) -> None:
        self._modules = modules or _installed()
        self._clusters: Dict[User, cluster.Cluster] = {}
        self._failed: Dict[User, Undetermined] = {}

    @property
    def reachable(self) -> bool:
        """Whether the Python bindings of Ceph are here."""
        return self._modules is not None

    def rights(self, user: User, pool: str) -> Rights:
        """Return what a user may do in a pool.

        :raises Undetermined: it cannot be determined
        """
        def read(ioctx: Any) -> None:
            self._rbd.RBD().list(ioctx)

        def write(ioctx: Any) -> None:
            ioctx.rm_xattr(NO_OBJECT, NO_OBJECT)

        return Rights(self._refusal(user, pool, read), self._refusal(user, pool, write))

    def held(self, user: User, pool: str, image_ids: Iterable[str]
             ) -> Tuple[places.Pool, Dict[str, places.Found]]:
        """Return a pool as a place of images, and what it holds of some images.

        :raises Undetermined: it cannot be determined
        """
        def read(site: cluster.Cluster) -> Tuple[places.Pool, Dict[str, places.Found]]:
            place = places.Pool(site, self._rbd, pool, site.fsid(pool))
            found = {image_id: place.find(image_id) for image_id in image_ids}
            return place, {name: data for name, data in found.items() if data is not None}

        return self._call(user, read)

    def names(self, user: User, pool: str) -> Tuple[str, ...]:
        """Return the names of all RBD images of a pool.

        :raises Undetermined: it cannot be determined
        """
        return tuple(self._call(user, lambda site: site.call(pool, self._rbd.RBD().list)))

    def close(self) -> None:
        """Close the connections."""
        for site in self._clusters.values():
            site.close()

    @property
    def _rbd(self) -> Any:
        assert self._modules is not None
        return self._modules[1]

    def _refusal(self, user: User, pool: str, function: Callable[[Any], None]) -> str:
        def request(site: cluster.Cluster) -> str:
            try:
                site.call(pool, function)
            except cluster.PoolUnusable as error:
                return str(error)
            except cluster.Missing:
                pass  # the object, which does not exist: the request was allowed
            return ALLOWED

        return self._call(user, request)

    def _call(self, user: User, function: Callable[[cluster.Cluster], _Result]) -> _Result:
        """Call a function; a cluster that was not reached once is not waited for again."""
        if user in self._failed:
            raise self._failed[user]
        try:
            return function(self._site(user))
        except (cluster.ClusterError, cluster.Missing, places.PlaceError) as error:
            failed = Undetermined('%s of %s: %s' % (user, user.conf_file, ' '.join(str(error).split())))
            if not isinstance(error, cluster.PoolUnusable):
                self._failed[user] = failed
            raise failed from error

    def _site(self, user: User) -> cluster.Cluster:
        if user not in self._clusters:
            assert self._modules is not None
            rados, rbd = self._modules
            self._clusters[user] = cluster.Cluster(cluster.Access(
                rados, rbd, user.conf_file, user.name, cluster.call_natively))
        return self._clusters[user]


def _installed() -> Optional[Tuple[Any, Any]]:
    try:
        import rados
        import rbd
    except ImportError:
        return None
    return rados, rbd
