# SPDX-License-Identifier: Apache-2.0
"""A process in which glance_store's stores of a configuration file run, as glance-api has them.

    worker = Worker(command_prefix, conf, environ)
    worker.ask(do='add', store='ours', kind='random', mib=1024)    # {'seconds': ..., 'cpu': ..., ...}

The data are made in memory before the clock starts, and handed out as a socket hands them out: copied. So
seconds and processor time are the driver's, with all that it asks Cinder and os-brick for.
"""

import hashlib
import json
import os
import sys
import threading
import time
import uuid

from lab import processes

MIB = 1 << 20
# What the data repeat: longer than any cache that could help.
PERIOD = 64 * MIB
RESET_PEAK = '5'


class Worker(processes.Program):
    """The process, from outside; a context manager."""

    def __init__(self, conf, environ):
        super().__init__([sys.executable, '-m', 'benchmarks._volume_worker', conf], env=environ)

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        self.kill()

    def ask(self, **what):
        """Let it do something; return what it measured.

        :raises LabError: it failed.
        """
        self.send(what)
        return self.receive(seconds=3600)


class Source:
    """Data of some kind, so many bytes of it, as Glance hands them to a store.

    :param kind: 'random', 'sparse' (of ten mebibytes nine are zeros), 'zeros'
    """

    def __init__(self, kind, size):
        self._left = size
        self._at = 0
        self._period = memoryview(period(kind))

    def read(self, size):
        """Return a copy of the next bytes."""
        size = min(size, self._left, len(self._period) - self._at)
        data = bytes(self._period[self._at:self._at + size])
        self._left -= size
        self._at = (self._at + size) % len(self._period)
        return data

    def __iter__(self):
        while True:
            data = self.read(4 * MIB)
            if not data:
                return
            yield data


_periods = {}


def period(kind):
    """Return the bytes that data of a kind repeat; made once."""
    if kind not in _periods:
        if kind == 'random':
            made = os.urandom(PERIOD)
        elif kind == 'sparse':
            made = b''.join(os.urandom(MIB) + bytes(9 * MIB) for _each in range(6))
        else:
            made = bytes(PERIOD)
        _periods[kind] = made
    return _periods[kind]


def hash_speed(mib, threads):
    """Return the megabytes a second of md5 and sha512: in one thread, or each in its own."""
    data = period('random')
    pieces = [data[at:at + 4 * MIB] for at in range(0, len(data), 4 * MIB)]
    hashes = [hashlib.md5(), hashlib.sha512()]

    def run(some):
        done = 0
        while done < mib * MIB:
            for piece in pieces:
                for one in some:
                    one.update(piece)
                done += len(piece)

    parts = [[one] for one in hashes] if threads > 1 else [hashes]
    begun = time.monotonic()
    running = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return mib * MIB / 1e6 / (time.monotonic() - begun)


class Stores:
    """What the process does."""

    def __init__(self, path):
        import glance_store
        from glance_store import multi_backend
        from oslo_config import cfg
        from oslo_context import context
        from oslo_log import log
        self._stores, self._conf = multi_backend, cfg.CONF
        self._context = context.RequestContext(project_id=uuid.uuid4().hex)
        log.register_options(self._conf)
        self._conf.register_opts([cfg.DictOpt('enabled_backends')])
        self._conf(['--config-file', path], project='glance')
        glance_store.register_opts(self._conf)
        glance_store.register_store_opts(self._conf)
        glance_store.create_multi_stores(self._conf)

    def add(self, store, kind, mib):
        """Upload, and return what it took, where it is, and the hash."""
        source = Source(kind, mib * MIB)
        figures = _Figures()
        location, size, _md5, multihash, _told = self._stores.add_with_multihash(
            self._conf, str(uuid.uuid4()), source, mib * MIB, store, 'sha512', context=self._context)
        figures.stop()
        if size != mib * MIB:
            raise RuntimeError('%d bytes were stored, not %d' % (size, mib * MIB))
        return dict(figures.reported, location=location, multihash=multihash)

    def get(self, store, location, multihash=None):
        """Read all of it, and return what it took; with a hash, compare it after the clock stopped."""
        figures = _Figures()
        chunks, _size = self._stores.get(location, store, context=self._context)
        size = 0
        found = hashlib.sha512()
        for chunk in chunks:
            size += len(chunk)
            if multihash:
                found.update(chunk)
        figures.stop()
        if multihash and found.hexdigest() != multihash:
            raise RuntimeError('%s: what was read is not what was written' % location)
        return dict(figures.reported, bytes=size)

    def delete(self, store, location):
        self._stores.delete(location, store, context=self._context)
        return {}

    def hash(self, mib, threads):
        return {'speed': hash_speed(mib, threads)}


class _Figures:
    """Seconds, processor seconds of this process, and its peak memory while they ran."""

    def __init__(self):
        with open('/proc/self/clear_refs', 'w', encoding='ascii') as stream:
            stream.write(RESET_PEAK)
        self._cpu, self._begun = _cpu(), time.monotonic()
        self.reported = {}

    def stop(self):
        seconds = time.monotonic() - self._begun
        self.reported = {'seconds': seconds, 'cpu': _cpu() - self._cpu, 'peak_mib': _peak() / 1024}


def _cpu():
    used = os.times()
    return used.user + used.system


def _peak():
    with open('/proc/self/status', encoding='ascii') as stream:
        return int(next(line for line in stream if line.startswith('VmHWM:')).split()[1])


def main():
    """Do what standard input says, until it ends."""
    # Nothing but responses there.
    responses = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    stores = Stores(sys.argv[1])
    for line in sys.stdin:
        what = json.loads(line)
        try:
            response = getattr(stores, what.pop('do'))(**what)
        except Exception as error:
            response = {'error': '%s: %s' % (type(error).__name__, error)}
        responses.write(json.dumps(response) + '\n')
        responses.flush()
    # Not by way of threads that a store may have.
    os._exit(0)


if __name__ == '__main__':
    main()
