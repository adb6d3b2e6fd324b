# SPDX-License-Identifier: Apache-2.0
"""``--reach STORE=PLACE``: the directory or the cluster of a store, read without Glance."""

import os
from typing import Any
from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.stores import places

LOG = logging.getLogger(__name__)


class WrongPlace(exceptions.MultistoreError):
    """What --reach names cannot be used."""

    msg_fmt = _("--reach %(text)s: %(why)s.")


def places_of(texts: Iterable[str], stores: api.Stores,
              details: Mapping[str, api.StoreDetail]) -> Dict[str, places.Place]:
    """Return the places that an operator names, by store.

    ``STORE=DIRECTORY``, or ``STORE=CEPH.CONF[,user=USER][,pool=POOL]``; since Yoga Glance itself names
    the pool. A cluster that does not respond gives a place that cannot be read: one of many sites that is
    away must not keep the others from being looked after.

    :raises WrongPlace: one cannot be used; nothing else was done
    """
    found: Dict[str, places.Place] = {}
    for text in texts:
        store, equals, rest = text.partition('=')
        if not equals or not rest:
            raise WrongPlace(text=text, why='write STORE=DIRECTORY or '
                                            'STORE=CEPH.CONF[,user=USER][,pool=POOL]')
        if stores.get(store) is None:
            raise WrongPlace(text=text, why="Glance has no store '%s'; it has: %s" % (
                store, ', '.join(stores.ids) or 'none'))
        path, _comma, options = rest.partition(',')
        if os.path.isdir(path):
            found[store] = places.Directory(path)
        elif os.path.isfile(path):
            found[store] = _pool(text, path, options, details.get(store))
        else:
            raise WrongPlace(text=text, why='there is no such file or directory here')
    return found


def _pool(text: str, path: str, options: str,
          detail: Optional[api.StoreDetail]) -> places.Place:
    given = dict(option.partition('=')[::2] for option in options.split(',') if option)
    unknown = sorted(set(given) - {'user', 'pool'})
    if unknown:
        raise WrongPlace(text=text, why="'%s' is unknown; there are user= and pool=" % unknown[0])
    properties = detail.properties if detail is not None else {}
    pool = given.get('pool') or properties.get('pool')
    if not pool:
        raise WrongPlace(text=text, why='Glance does not report the pool of this store: add ,pool=POOL')
    rados, rbd = _modules(text)
    site = cluster.Cluster(cluster.Access(rados, rbd, path, given.get('user'), cluster.call_natively))
    try:
        fsid = site.fsid(str(pool))
    except (cluster.ClusterError, cluster.Missing) as error:
        if isinstance(error.__cause__, rados.TimedOut):
            LOG.warning('--reach %(text)s: the cluster does not respond (%(error)s); nothing of this store '
                        'is read in this run.', {'text': text, 'error': error})
            return places.Away('the pool %s of %s' % (pool, path), str(error))
        raise WrongPlace(text=text, why='the pool %s is not reached: %s' % (pool, error))
    if properties.get('fsid') and properties['fsid'] != fsid:
        raise WrongPlace(text=text,
                         why='this is the cluster %s; the store is in %s' % (fsid, properties['fsid']))
    return places.Pool(site, rbd, str(pool), fsid)


def _modules(text: str) -> Any:
    try:
        import rados
        import rbd
    except ImportError as error:
        raise WrongPlace(text=text, why='the Python bindings of Ceph are missing (%s): python3-rados, '
                         'python3-rbd' % error)
    return rados, rbd
