# SPDX-License-Identifier: Apache-2.0
"""Are the Glance stores that nova.conf and cinder.conf name in the services' own Ceph clusters?"""

import configparser
import re
from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Optional

from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import pools
from multistore_hooks.status import finding

_LIMITS = {'client_mount_timeout': '5', 'rados_mon_op_timeout': '5', 'rados_osd_op_timeout': '5'}
_URL = re.compile(r'rbd://([^/]+)/([^/]+)/')
_OPTION = 'images_rbd_glance_store_name'


class Cluster(NamedTuple):
    """What is known of a cluster; None: not known."""

    fsid: Optional[str]
    pool: Optional[str]
    #: Where it was seen, in words; or why it is not known.
    how: str


class Site(NamedTuple):
    """A service in a Ceph cluster, and the Glance store that should be in the same one."""

    #: In words: this compute, or a backend.
    name: str
    store: str
    pool: str
    #: The options that name the store, the pool, and the cluster.
    where_store: str
    where_pool: str
    where_conf: str


def check_cluster(facts: gather.Facts) -> finding.Findings:
    """Is the RBD store's cluster the one of this compute?"""
    nova = facts.nova
    if nova is None:
        return [finding.skipped('--nova-conf was not given')]
    store = nova.get('libvirt', _OPTION)
    if not store:
        return [finding.passed('[libvirt] %s names no store' % _OPTION)]
    images_type = nova.get('libvirt', 'images_type')
    if images_type != 'rbd':
        return [finding.failure(
            "is '%s', and so %s = %s has no effect" % (images_type, _OPTION, store),
            nova.where('libvirt', 'images_type'),
            'Set it to rbd, or remove %s' % _OPTION)]
    site = Site('this compute', store, nova.get(gather.GROUP, 'glance_rbd_pool'),
                nova.where('libvirt', _OPTION), nova.where(gather.GROUP, 'glance_rbd_pool'),
                nova.where('libvirt', 'images_rbd_ceph_conf'))
    return decide(site, of_compute(nova), of_store(facts, store))


def check_backends(facts: gather.Facts) -> finding.Findings:
    """Is the RBD store of each backend of Cinder in the backend's own cluster?"""
    if facts.cinder is None:
        return [finding.skipped('--cinder-conf was not given')]
    found = []
    for backend in config_files.backends(facts.cinder):
        if backend.store:
            site = Site('the backend ' + backend.name, backend.store, backend.get('rbd_glance_pool'),
                        backend.where('rbd_glance_store_name'), backend.where('rbd_glance_pool'),
                        backend.where('rbd_ceph_conf'))
            ours = cluster_of(backend.get('rbd_ceph_conf') or pools.DEFAULT_CONF, backend.get('rbd_user'))
            found += decide(site, ours, of_store(facts, backend.store))
    return found or [finding.passed('no backend has rbd_glance_store_name')]


def decide(site: Site, ours: Cluster, theirs: Cluster) -> finding.Findings:
    """Compare two clusters, and the pool that the hooks read."""
    found = []
    if ours.fsid is None:
        found.append(finding.undetermined('the cluster of %s: %s' % (site.name, ours.how), site.where_conf))
    if theirs.fsid is None:
        found.append(finding.undetermined("the cluster of the store '%s': %s" % (site.store, theirs.how),
                                          site.where_store))
    if ours.fsid and theirs.fsid and ours.fsid != theirs.fsid:
        found.append(finding.failure(
            "names the store '%s', which is in the cluster %s (%s), but %s is in %s (%s). "
            'Images are copied there, and never cloned here'
            % (site.store, theirs.fsid, theirs.how, site.name, ours.fsid, ours.how), site.where_store,
            'Name the store whose cluster is %s, or correct %s' % (ours.fsid, site.where_conf)))
    if theirs.pool and site.pool != theirs.pool:
        found.append(finding.failure(
            "is '%s', but the store '%s' keeps its images in the pool '%s' (%s)"
            % (site.pool, site.store, theirs.pool, theirs.how), site.where_pool,
            'Set it to %s' % theirs.pool))
    return found or [finding.passed("the store '%s' and %s are in the cluster %s, pool %s"
                                    % (site.store, site.name, ours.fsid, theirs.pool or '(unknown)'))]


def of_compute(nova: config_files.ServiceConf) -> Cluster:
    """Return the cluster that nova.conf names, by asking it, or by its configuration file."""
    path = nova.get('libvirt', 'images_rbd_ceph_conf') or pools.DEFAULT_CONF
    return cluster_of(path, nova.get('libvirt', 'rbd_user'))


def of_store(facts: gather.Facts, store: str) -> Cluster:
    """Return a Glance store's cluster: by Glance's own word, by an image there, or by its file."""
    if facts.cloud is not None:
        details = (facts.cloud.details() or {}).get(store, {})
        kind, properties = details.get('type', 'rbd'), details.get('properties') or {}
        if kind != 'rbd':
            return Cluster(None, None, 'Glance says that it is of the type %s, not rbd' % kind)
        if properties.get('fsid'):
            return Cluster(properties['fsid'], properties.get('pool'), 'according to Glance')
        seen = _by_an_image(facts, store)
        if seen is not None:
            return seen
    glance = facts.glance
    if glance is not None and store in (glance.get('DEFAULT', 'enabled_backends') or {}):
        path = glance.get(store, 'rbd_store_ceph_conf') or pools.DEFAULT_CONF
        return cluster_of(path, glance.get(store, 'rbd_store_user'))._replace(
            pool=glance.get(store, 'rbd_store_pool'))
    return Cluster(None, None, 'Glance does not report it (stores/detail of 2024.2 and later does, to an '
                   'administrator), no image in it shows its location, and --glance-conf was not given')


def _by_an_image(facts: gather.Facts, store: str) -> Optional[Cluster]:
    assert facts.cloud is not None
    for image in facts.cloud.images():
        urls = [location.get('url', '') for location in image.get('locations') or ()
                if (location.get('metadata') or {}).get('store') == store]
        if image.get('stores') == store and image.get('direct_url'):
            urls.append(image['direct_url'])
        for url in urls:
            found = _URL.match(url)
            if found:
                return Cluster(found.group(1), found.group(2), 'by the location of image %s' % image['id'])
    return None


def cluster_of(path: str, user: Optional[str]) -> Cluster:
    """Return the cluster of a ceph.conf; by the cluster itself if librados is here, else by the file."""
    written = _written(path)
    try:
        import rados
    except ImportError:
        return _fallen_back(written, path, 'python3-rados is not installed here')
    settings: Dict[str, Any] = dict(conffile=path, conf=_LIMITS)
    if user:
        settings['rados_id'] = user
    try:
        cluster = rados.Rados(**settings)
        try:
            cluster.connect(timeout=5)
            return Cluster(cluster.get_fsid(), None, 'according to the cluster that %s names' % path)
        finally:
            cluster.shutdown()
    # rados.Error, and TypeError for a file that it cannot read, among others.
    except Exception as error:
        return _fallen_back(written, path, ' '.join(str(error).split()))


def _fallen_back(written: Optional[str], path: str, why: str) -> Cluster:
    if written:
        return Cluster(written, None, 'according to %s; the cluster was not reached: %s' % (path, why))
    return Cluster(None, None, '%s names no fsid, and the cluster was not reached: %s' % (path, why))


def _written(path: str) -> Optional[str]:
    """Return the fsid that a ceph.conf names, or None."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        with open(path, encoding='utf-8', errors='replace') as stream:
            parser.read_string('\n'.join(line.strip() for line in stream))
        return parser.get('global', 'fsid').strip() or None
    except (OSError, configparser.Error, AttributeError):
        return None
