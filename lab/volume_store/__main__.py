# SPDX-License-Identifier: Apache-2.0
"""Run the lab until Ctrl-C or the end of standard input."""
import argparse
import signal
import sys
import typing

from lab.volume_store import cinder
from lab.volume_store.lab import Kind
from lab.volume_store.lab import Lab
from lab.volume_store.lab import SERVICE


def main(arguments: typing.Sequence[str]) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog='python -m lab.volume_store', description=__doc__)
    parser.add_argument('--root', required=True, help='folder for everything; kept')
    parser.add_argument('--stores', default='stock:cinder:loop,gold:volume:loop,cheap:file',
                        help='NAME:DRIVER:VOLUME_TYPE or NAME:KIND, with commas (default: %(default)s); the '
                             'types are the backends, ' + ', '.join(cinder.DRIVERS)
                             + ', and the same with %s behind it' % cinder.MULTI)
    parser.add_argument('--default', help='the default store (default: the first)')
    options = parser.parse_args(arguments)
    stores: typing.Dict[str, typing.Any] = {}
    for given in options.stores.split(','):
        name, kind, *volume_type = given.split(':')
        stores[name] = Kind(kind, volume_type[0], SERVICE, {}) if volume_type else kind
    # SIGINT too: a shell without job control starts what goes to the background ignoring it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    with Lab(options.root, stores, options.default) as lab:
        print('Glance %s\nCinder %s (through the proxy %s)\nlog %s' % (
            lab.glance.url, lab.cinder.root, lab.proxy.url, lab.glance.log), flush=True)
        signal.pause()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
