# SPDX-License-Identifier: Apache-2.0
"""Two clusters that the tests of one process share, as the Ceph of two sites."""

import atexit
import os
import shutil
import tempfile
import typing

from lab import ceph

_running: typing.List[ceph.Ceph] = []


def sites() -> typing.Tuple[ceph.Ceph, ceph.Ceph]:
    """Return two running clusters, the first one with cephx, the second one without.

    They are started when they are first wanted, and go with the process. Who stops one, or lets
    it refuse something, has to bring it back.
    """
    if not _running:
        folder = tempfile.mkdtemp(prefix='multistore-ceph-')
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        clusters = [ceph.Ceph(os.path.join(folder, name), auth=auth)
                    for name, auth in (('a', 'cephx'), ('b', 'none'))]
        ceph.start_all(clusters)
        for cluster in clusters:
            # Run before the folder is removed: the last one registered is the first.
            atexit.register(cluster.stop)
        _running.extend(clusters)
    return _running[0], _running[1]
