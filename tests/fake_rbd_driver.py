# SPDX-License-Identifier: Apache-2.0
"""Nova's driver of a Ceph cluster for tests: its calls of librbd one by one, each of which can fail."""


class CephError(Exception):
    """An error of the cluster."""


ImageNotFound, ImageExists, ImageBusy, ImageHasSnapshots = (type(name, (CephError,), {}) for name in (
    'ImageNotFound', 'ImageExists', 'ImageBusy', 'ImageHasSnapshots'))
DISK, PARENT = ('vms', 'server_disk'), ('images', 'base', 'snap')


class FakeRbdDriver:
    """A cluster with the disk of one server, as Nova's RBDDriver shows it.

    :param run: gets (name of a call, function that makes it).
    :param unacceptable: makes Nova's ImageUnacceptable.
    :param parent: of the disk, or None.

    ``images`` holds [parent, {snapshot: whether it is protected}] by (pool, image).
    """

    pool, rbd_user, ceph_conf = 'vms', 'nova', '/etc/ceph/ceph.conf'

    def __init__(self, run, unacceptable, parent=PARENT):
        self._run, self._unacceptable = run, unacceptable
        self.images = {DISK: [parent, {}]}

    def _image(self, name, pool):
        if (pool or self.pool, name) not in self.images:
            raise ImageNotFound(name)
        return self.images[pool or self.pool, name]

    def get_fsid(self):
        return self._run('fsid', lambda: 'the-cluster')

    @staticmethod
    def parse_url(url):
        return url[len('rbd://'):].split('/')

    def parent_info(self, volume, pool=None):
        def read():
            try:
                return self._image(volume, pool)[0]
            except ImageNotFound:
                return None
        found = self._run('parent', read)
        if found is None:
            raise self._unacceptable(image_id=volume, reason='no parent')
        return found

    def create_snap(self, volume, name, pool=None, protect=False):
        snapshots = self._image(volume, pool)[1]
        self._run('create snapshot', lambda: snapshots.update({name: False}))
        if protect:
            self._run('protect', lambda: snapshots.update({name: True}))

    def clone(self, image_location, dest_name, dest_pool=None):
        _fsid, pool, image, snapshot = self.parse_url(image_location['url'])
        self._run('clone', lambda: self._clone((pool, image, snapshot), (dest_pool, dest_name)))

    def _clone(self, parent, name):
        if name in self.images:
            raise ImageExists(name)
        self.images[name] = [parent, {}]

    def flatten(self, volume, pool=None):
        self._run('flatten', lambda: self._flatten(self._image(volume, pool)))

    @staticmethod
    def _flatten(image):
        image[0] = None

    def remove_snap(self, volume, name, ignore_errors=False, pool=None, force=False):
        snapshots = self._run('open', lambda: self._image(volume, pool)[1])
        if name not in snapshots:
            return
        if snapshots[name]:
            self._run('unprotect', lambda: self._unprotect((pool or self.pool, volume, name), snapshots))
        self._run('remove snapshot', lambda: snapshots.pop(name, None))

    def _unprotect(self, snapshot, snapshots):
        if any(parent == snapshot for parent, _snapshots in self.images.values()):
            raise ImageBusy(snapshot)
        snapshots[snapshot[2]] = False

    def destroy_volume(self, volume, pool=None):
        self._run('remove', lambda: self._remove((pool or self.pool, volume)))

    def _remove(self, name):
        if self._image(name[1], name[0])[1]:
            raise ImageHasSnapshots(name)
        del self.images[name]
