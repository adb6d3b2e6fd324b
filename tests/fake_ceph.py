# SPDX-License-Identifier: Apache-2.0
"""A Ceph cluster for tests: as much of the modules rados and rbd as the library uses.

``FakeCeph(clock)`` is the cluster; its attributes ``rados`` and ``rbd`` stand for the two modules.
"""


class _RadosError(Exception):
    pass


class _RbdError(Exception):
    pass


class _Rados:
    """The module rados: its errors, and the class Rados."""

    Error = _RadosError
    ObjectBusy, ObjectExists, ObjectNotFound, NoData, PermissionError, TimedOut = (
        type(name, (_RadosError,), {}) for name in (
            'ObjectBusy', 'ObjectExists', 'ObjectNotFound', 'NoData', 'PermissionError', 'TimedOut'))

    def __init__(self, ceph):
        self._ceph = ceph

    class WriteOpCtx(list):
        """The steps of one operation: functions of an object's omap."""

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            """Nothing is open."""

    ReadOpCtx = WriteOpCtx

    def Rados(self, rados_id=None, clustername=None, conffile=None, conf=None):
        if conffile in self._ceph.missing_files:
            raise self.ObjectNotFound('error calling conf_read_file')
        self._ceph.reached = {'rados_id': rados_id, 'clustername': clustername, 'conffile': conffile}
        return _Connection(self._ceph, dict(conf or {}))


class _Rbd:
    """The module rbd: its errors, and the class Image."""

    Error = _RbdError
    ImageNotFound, PermissionError = (
        type(name, (_RbdError,), {}) for name in ('ImageNotFound', 'PermissionError'))

    def __init__(self, ceph):
        self._ceph = ceph

    def Image(self, ioctx, name, snapshot=None, read_only=False):
        ioctx.check()
        snapshots = self._ceph.images.get((ioctx.pool, name))
        if snapshots is None or (snapshot is not None and snapshot not in snapshots):
            raise self.ImageNotFound('error opening image %s' % name)
        return _Image()


class _Image:
    def close(self):
        """Nothing is open."""


class FakeCeph:
    """A cluster.

    :param clock: when locks expire.

    ``images`` holds sets of snapshots by (pool, image), ``objects`` attributes by (pool, object), ``omaps``
    their maps, ``locks`` (cookie, end) by (pool, object, lock). ``away`` makes every call time out,
    ``denied`` holds pools that may not be used, ``read_only`` those that may not be written,
    ``missing_files`` configuration files that do not exist.
    ``options`` are Ceph's own. ``reached`` is how the last client connected, ``calls`` counts what clients
    did.
    """

    def __init__(self, clock, pools=('vms', 'images')):
        self.clock, self.pools, self.fsid = clock, set(pools), 'the-fsid'
        self.images, self.objects, self.locks, self.omaps = {}, {}, {}, {}
        self.away, self.denied, self.missing_files, self.reached = False, set(), set(), None
        self.read_only = set()
        self.calls = self.connections = 0
        self.options = {}
        self.rados, self.rbd = _Rados(self), _Rbd(self)

    def took(self, pool, name, cookie):
        """Called when a client has taken or renewed the lock of an object."""

    def holder(self, pool, name):
        """Return the cookie that holds a lock on an object, or None."""
        held = [cookie for (a_pool, an_object, _), (cookie, end) in self.locks.items()
                if (a_pool, an_object) == (pool, name) and end > self.clock.monotonic()]
        return held[0] if held else None


class _Connection:
    def __init__(self, ceph, conf):
        self._ceph, self.conf = ceph, conf
        self._ends = False

    def connect(self):
        if self._ceph.away:
            raise self._ceph.rados.TimedOut('error connecting to the cluster')
        self._ceph.connections += 1
        self._ends = True

    def get_fsid(self):
        return self._ceph.fsid

    def open_ioctx(self, pool):
        if pool not in self._ceph.pools:
            raise self._ceph.rados.ObjectNotFound("error opening pool '%s'" % pool)
        return _Ioctx(self._ceph, pool)

    def conf_get(self, name):
        return self._ceph.options.get(name)

    def shutdown(self):
        if self._ends:
            self._ends = False
            self._ceph.connections -= 1


class _Ioctx:
    def __init__(self, ceph, pool):
        self._ceph, self.pool = ceph, pool

    def check(self):
        self._ceph.calls += 1
        if self._ceph.away:
            raise self._ceph.rados.TimedOut('no response')
        if self.pool not in self._ceph.pools:
            raise self._ceph.rados.ObjectNotFound('no pool %s' % self.pool)
        if self.pool in self._ceph.denied:
            raise self._ceph.rados.PermissionError('not in the pool %s' % self.pool)

    def close(self):
        """Nothing is open."""

    def lock_exclusive(self, key, name, cookie, desc='', duration=None, flags=0):
        self.check()
        now = self._ceph.clock.monotonic()
        held, end = self._ceph.locks.get((self.pool, key, name), (None, 0))
        if held is not None and end > now:
            if held != cookie:
                raise self._ceph.rados.ObjectBusy(key)
            if not flags:
                raise self._ceph.rados.ObjectExists(key)
        elif flags == 2:
            raise self._ceph.rados.ObjectNotFound(key)
        self._ceph.locks[self.pool, key, name] = (cookie, now + (duration or 1e9))
        self._ceph.took(self.pool, key, cookie)
        self._ceph.objects.setdefault((self.pool, key), {})

    def remove_object(self, key):
        self.check()
        self._ceph.objects.pop((self.pool, key))
        for lock in [lock for lock in self._ceph.locks if lock[:2] == (self.pool, key)]:
            del self._ceph.locks[lock]

    def set_xattr(self, key, name, value):
        self.check()
        self._ceph.objects.setdefault((self.pool, key), {})[name] = value

    def get_xattr(self, key, name):
        self.check()
        if (self.pool, key) not in self._ceph.objects:
            raise self._ceph.rados.ObjectNotFound(key)
        if name not in self._ceph.objects[self.pool, key]:
            raise self._ceph.rados.NoData(name)
        return self._ceph.objects[self.pool, key][name]

    def set_omap(self, operation, keys, values):
        operation.append(lambda omap: omap.update(zip(keys, values)))

    def remove_omap_keys(self, operation, keys):
        operation.append(lambda omap: [omap.pop(key, None) for key in keys])

    def get_omap_vals(self, operation, after, prefix, most):
        found = []
        operation.append(lambda omap: found.extend(
            [(key, omap[key]) for key in sorted(omap) if key > after and key.startswith(prefix)][:most]))
        return found, 0

    def operate_write_op(self, operation, key):
        self.check()
        omap = self._ceph.omaps.setdefault((self.pool, key), {})
        for step in operation:
            step(omap)

    def operate_read_op(self, operation, key):
        self.check()
        if (self.pool, key) not in self._ceph.omaps:
            raise self._ceph.rados.ObjectNotFound(key)
        for step in operation:
            step(self._ceph.omaps[self.pool, key])

    def get_xattrs(self, key):
        self.check()
        return iter(list(self._ceph.objects[self.pool, key].items()))

    def rm_xattr(self, key, name):
        self.check()
        if self.pool in self._ceph.read_only:
            raise self._ceph.rados.PermissionError('error on remove of xattr')
        if (self.pool, key) not in self._ceph.objects:
            raise self._ceph.rados.ObjectNotFound(key)
        del self._ceph.objects[self.pool, key][name]
