# SPDX-License-Identifier: Apache-2.0
"""What the filter and the driver cost: requests that they do not concern, and uploads that they do.

Two real Glances, one with the filter, are asked in turn; a real Nova takes snapshots with its
stock driver and with ours, in turn. The filter alone is measured too, in front of an application
that does nothing.
"""

import http.client
import os
import shutil
import tempfile
import time
import timeit

from benchmarks import report
from lab.glance import ADMIN
from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from tests.functional import nova_runs

OTHERS = (('GET an image', 'GET', '/v2/images/%s'), ('GET images', 'GET', '/v2/images?limit=5'),
          ('GET versions', 'GET', '/v2/schemas/image'))


def timed(connection, method, path, data=None, headers=None):
    """Send one request and return its seconds."""
    start = time.perf_counter()
    connection.request(method, path, body=data, headers=dict(
        {'X-Auth-Token': ADMIN}, **headers or {}))
    answer = connection.getresponse()
    answer.read()
    assert answer.status < 300, (method, path, answer.status)
    return time.perf_counter() - start


def in_turn(times, stock, ours):
    """Call both in turn, in changing order; return the samples of each."""
    samples = {stock: [], ours: []}
    for number in range(times):
        for function in ((stock, ours), (ours, stock))[number % 2]:
            samples[function].append(function())
    return samples[stock], samples[ours]


def other_requests(results, glances, times):
    """Measure requests that the filter does not concern."""
    image_id = {glance: glance.add_image(b'x') for glance in glances}
    connections = {glance: http.client.HTTPConnection(
        '127.0.0.1', glance.port) for glance in glances}
    for what, method, path in OTHERS:
        def one(glance, path=path):
            full = path % image_id[glance] if '%s' in path else path
            return timed(connections[glance], method, full) * 1000
        stock, ours = in_turn(times, lambda: one(glances[0]), lambda: one(glances[1]))
        results.add(what + ', the filter not concerned', 'ms', stock, ours, 'under 1.01')


def filter_alone(results):
    """Measure what the filter adds to any request, without the noise of a server."""
    from multistore_hooks.glance import base_image_filter

    def application(environ, start_response):
        return []
    environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/v2/images/x'}
    filtered = base_image_filter.BaseImageFilter(application)

    def one(function):
        return timeit.timeit(lambda: function(environ, None), number=20000) / 20000 * 1e6
    results.add('the filter alone, not concerned', 'us', *in_turn(
        11, lambda: one(application), lambda: one(filtered)))


def uploads(results, glances, times, mib):
    """Measure an upload that names its base image."""
    data = os.urandom(1 << 20) * mib
    base = {glance: glance.add_image(b'base', ['cheap']) for glance in glances}

    def one(glance):
        image_id = glance.create_image()['id']
        connection = http.client.HTTPConnection('127.0.0.1', glance.port)
        seconds = timed(connection, 'PUT', '/v2/images/%s/file' % image_id, data, {
            'Content-Type': 'application/octet-stream', 'X-OpenStack-Base-Image-Ref': base[glance]})
        glance.request('DELETE', '/v2/images/' + image_id)
        return seconds
    stock, ours = in_turn(times, lambda: one(glances[0]), lambda: one(glances[1]))
    results.add('upload of %d MiB that names its base image' % mib, 's', stock, ours, 'under 1.03')


def snapshots(results, glance, times, mib):
    """Measure a snapshot from nova-compute's start of it to its end, without the filter."""
    disk = nova_runs.disk(os.urandom(1 << 20) * mib)
    base = glance.add_image(b'base', ['cheap'], token=nova_runs.TOKEN)
    samples = {nova_runs.STOCK: [], nova_runs.OURS: []}
    for number in range(max(2, times // 5)):
        for driver in ((nova_runs.STOCK, nova_runs.OURS),
                       (nova_runs.OURS, nova_runs.STOCK))[number % 2]:
            found = nova_runs.compute(
                glance, driver, *[nova_runs.operation('snapshot', base, disk)] * 6)
            assert not [one for one in found if one['error']], found
            # The first one also imports and discovers, in both.
            samples[driver] += [one['seconds'] for one in found[1:]]
            for one in found:
                glance.request('DELETE', '/v2/images/' + one['image_id'])
    results.add('snapshot of %d MiB through the driver' % mib, 's', samples[nova_runs.STOCK],
                samples[nova_runs.OURS], 'under 1.03')


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], times=20, mib=64)
    results = report.Report('overhead', times=given.times, mib=given.mib)
    root = tempfile.mkdtemp(prefix='multistore-overhead-')
    try:
        with Glance(os.path.join(root, 'stock')) as stock, Glance(
                os.path.join(root, 'filtered'), filters=[BASE_IMAGE_FILTER]) as filtered:
            filter_alone(results)
            other_requests(results, (stock, filtered), given.times * 50)
            uploads(results, (stock, filtered), given.times, given.mib)
            snapshots(results, stock, given.times, given.mib)
        results.finish(given.json)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == '__main__':
    main()
