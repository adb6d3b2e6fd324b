# SPDX-License-Identifier: Apache-2.0
"""Do two stores, the staging area or the tasks share a place? Glance forbids it, and does not check."""

import itertools
import os
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
import urllib.parse

from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status import finding


class Directory(NamedTuple):
    """A folder that Glance keeps files in."""

    #: What is kept there, in words.
    use: str
    #: As it is configured.
    folder: str
    where: str
    #: What distinguishes it from others: the path without links, and the kernel's name for it if it is here.
    path: str
    inode: Optional[object] = None


def check_directories(facts: gather.Facts) -> finding.Findings:
    """Do two file stores, staging or tasks share a directory, or two RBD stores a pool?"""
    glance = facts.glance
    if glance is None:
        return [finding.skipped('--glance-conf was not given')]
    found = _unset(glance) + decide_directories(folders(glance)) + _pools(glance) + _http(glance)
    found += [_not_a_folder(one) for one in folders(glance) if _blocked(one.path)]
    return found or [finding.passed('all are apart')]


def _stores(glance: config_files.ServiceConf, kind: str) -> List[str]:
    backends = glance.get('DEFAULT', 'enabled_backends') or {}
    return [store for store, driver in backends.items() if driver == kind]


def folders(glance: config_files.ServiceConf) -> List[Directory]:
    """Return every folder that glance-api.conf names or that Glance uses by default."""
    directories = []
    for store in _stores(glance, 'file'):
        use = "the store '%s'" % store
        single = glance.get(store, 'filesystem_store_datadir')
        if single:
            directories.append(_directory(use, single, glance.where(store, 'filesystem_store_datadir')))
        for entry in glance.get(store, 'filesystem_store_datadirs'):
            folder = entry.rpartition(':')[0] if entry.rpartition(':')[2].isdigit() else entry
            directories.append(_directory(use, folder, glance.where(store, 'filesystem_store_datadirs')))
    if not glance.get('DEFAULT', 'enabled_backends'):
        directories.append(_directory('the store', glance.get('glance_store', 'filesystem_store_datadir'),
                                      glance.where('glance_store', 'filesystem_store_datadir')))
        staging = urllib.parse.urlsplit(glance.get('DEFAULT', 'node_staging_uri')).path
        return directories + [_directory('staging', staging, glance.where('DEFAULT', 'node_staging_uri'))]
    for group, use in (('os_glance_staging_store', 'staging'), ('os_glance_tasks_store', 'tasks')):
        directories.append(_directory(use, glance.get(group, 'filesystem_store_datadir'),
                                      glance.where(group, 'filesystem_store_datadir')))
    return directories


def _directory(use: str, folder: str, where: str) -> Directory:
    path = os.path.realpath(folder)
    try:
        # The same folder under two paths, as of bind mounts and NFS.
        status = os.stat(path)
        return Directory(use, folder, where, path, (status.st_dev, status.st_ino))
    except OSError:
        return Directory(use, folder, where, path)


def decide_directories(directories: Iterable[Directory]) -> finding.Findings:
    """Return a finding for each two folders that are the same, or one in the other."""
    found = []
    for one, other in itertools.combinations(directories, 2):
        same = one.path == other.path or (one.inode is not None and one.inode == other.inode)
        nested = os.path.commonpath([one.path, other.path]) in (one.path, other.path)
        if same or nested:
            found.append(finding.failure(
                '%s and %s %s: %s and %s. An image that is deleted here is gone there'
                % (one.use, other.use, 'share a directory' if same else 'are one inside the other',
                   one.folder, other.folder),
                other.where, 'Give each a directory of its own, and move the files that belong to it'))
    return found


def _blocked(path: str) -> bool:
    """Return whether a folder cannot be made because something above it, or itself, is no folder."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    return bool(path) and not os.path.isdir(path)


def _not_a_folder(directory: Directory) -> finding.Finding:
    return finding.failure(
        '%s cannot be kept in %s: that or a part of it is not a directory. Glance disables such a '
        'store and says so in its log only' % (directory.use, directory.folder), directory.where,
        'Name a directory that Glance may write')


def _unset(glance: config_files.ServiceConf) -> finding.Findings:
    return [finding.failure("the store '%s' has no directory" % store,
                            glance.where(store, 'filesystem_store_datadir'), 'Set it')
            for store in _stores(glance, 'file')
            if not glance.get(store, 'filesystem_store_datadir')
            and not glance.get(store, 'filesystem_store_datadirs')]


def _pools(glance: config_files.ServiceConf) -> finding.Findings:
    def pool(store: str) -> object:
        conf = glance.get(store, 'rbd_store_ceph_conf') or '/etc/ceph/ceph.conf'
        return os.path.realpath(conf), glance.get(store, 'rbd_store_pool')

    return [finding.failure(
        "the stores '%s' and '%s' share the pool %s of one cluster. A copy from one to the other "
        'fails, and its clean-up deletes the image' % (one, other, glance.get(one, 'rbd_store_pool')),
        glance.where(other, 'rbd_store_pool'), 'Give each a pool of its own')
        for one, other in itertools.combinations(_stores(glance, 'rbd'), 2) if pool(one) == pool(other)]


def _http(glance: config_files.ServiceConf) -> finding.Findings:
    stores = _stores(glance, 'http')
    return [finding.warning('has several http stores: %s. Glance allows one' % ', '.join(stores),
                            glance.where('DEFAULT', 'enabled_backends'), 'Keep one')] if stores[1:] else []
