# SPDX-License-Identifier: Apache-2.0
"""A plan over many images: 10,000 and a tenth of them, 40 stores, 20 rules; requests, seconds, memory.

First of a Glance in memory, behind HTTP's own shapes; then of a real Glance with forty file stores, by the
command itself (``image place --rules FILE -f json``). How long Glance takes to respond is measured apart from
what the plan costs. Each size is measured in a process of its own, so that the memory is its own.
``--images N`` is for another number.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

from benchmarks import report
from lab import glance as lab
from multistore_hooks.glance_api import api
from multistore_hooks.stores import inventory
from multistore_hooks.stores import plans
from multistore_hooks.stores import rules
from tests import fake_glance
from tests.unit.stores import fakes

STORES, RULES = 40, 20
#: The targets: seconds beside Glance's own responses, and MiB.
MOST_SECONDS, MOST_MIB = 20, 300
NOW = 1767225600.0


class Timed:
    """A Glance, and the seconds that it takes to respond."""

    def __init__(self, glance):
        self.glance, self.seconds, self.requests = glance, 0.0, 0

    def __call__(self, environ, start_response):
        started = time.perf_counter()
        try:
            return self.glance(environ, start_response)
        finally:
            self.seconds += time.perf_counter() - started
            self.requests += 1


def records(count):
    """Yield so many images: builds of families, snapshots, in one store or in some."""
    for number in range(count):
        stores = {'site%d' % ((number * step) % STORES) for step in range(1, 2 + number % 3)}
        properties = {'os_distro': 'linux%d' % (number % 5)}
        if number % 5 == 0:
            properties['image_type'] = 'snapshot'
        yield sorted(stores), properties, {
            'name': 'family%d-%d' % (number % 200, number),
            'visibility': 'public' if number % 4 else 'private',
            'tags': ['keep'] if number % 7 == 0 else [], 'size': (number % 40 + 1) << 30,
            'created_at': '2026-01-%02dT00:00:00Z' % (number % 28 + 1)}


def glance_with(count):
    """Return a Glance in memory with so many images."""
    glance = fake_glance.FakeGlance({'site%d' % number: fake_glance.FILE for number in range(STORES)},
                                    'site0')
    for stores, properties, record in records(count):
        image = glance.add_image(stores, name=record['name'], visibility=record['visibility'],
                                 tags=record['tags'], **properties)
        glance.images[image].update(size=record['size'], created_at=record['created_at'])
    return glance


def written_rules():
    """Return twenty rules of every kind, which do not contradict one another."""
    found = [{'name': 'tagged everywhere', 'match': {'tag': 'keep', 'kind': 'image'}, 'at least': 3},
             {'name': 'snapshots twice', 'match': {'kind': 'snapshot'}, 'at least': 2},
             {'name': 'large private ones in one store', 'only': 'site0',
              'match': {'visibility': 'private', 'larger than': '36 GiB', 'kind': 'image'},
              'except': {'tag': 'keep'}}]
    for number in range(len(found), RULES):
        found.append({'name': 'family %d' % number, 'match': {'name': 'family%d-*' % number,
                                                              'visibility': 'public'},
                      'newest': 3, 'in': ['site%d' % number, 'site%d' % (STORES - number)]})
    return {'rules': found, 'reserve': {'site*': '20%'}, 'capacity': {'site*': '900 TiB'}}


def measure(count):
    """Return the figures of one plan over so many images."""
    glance = Timed(glance_with(count))
    images = fakes.store_images(glance)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'rules.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            json.dump(written_rules(), stream)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        stores: api.Stores = images.stores()
        wanted = rules.load(path, stores)
        subjects = [inventory.subject_of(image) for image in images.everything()]
        space = inventory.with_capacity({}, wanted.capacity, subjects)
        listed = time.perf_counter()
        plan = plans.by_rules(wanted, subjects, plans.Limits(stores, space), {}, NOW)
        ended = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {'images': count, 'requests': glance.requests, 'glance_seconds': glance.seconds,
            'reading_seconds': listed - started - glance.seconds, 'planning_seconds': ended - listed,
            'mib': after / 1024, 'grown_mib': (after - before) / 1024,
            'copies': sum(len(copy.stores) for copy in plan.copies), 'evictions': len(plan.evictions)}


def count_and_run(words):
    """Run multistore-hooks; print how many requests it sent, and for how long it waited for them."""
    import requests

    from multistore_hooks.cli import main as command_line
    send, figures = requests.Session.send, {'requests': 0, 'glance_seconds': 0.0}

    def timed(session, request, **options):
        started = time.perf_counter()
        try:
            return send(session, request, **options)
        finally:
            figures['glance_seconds'] += time.perf_counter() - started
            figures['requests'] += 1

    requests.Session.send = timed
    code = command_line.main(words)
    figures['mib'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures), file=sys.stderr)
    sys.exit(code)


def record_of(glance, stores, properties, record):
    """Return a record as benchmarks._records takes it."""
    image_id = str(uuid.uuid4())
    return dict(record, id=image_id, disk_format='raw', container_format='bare', status='active',
                owner='admin', properties=properties,
                urls={store: 'file://%s/%s' % (glance.dir(store), image_id) for store in stores})


def command_on_real_glance(count):
    """Return the figures of the command with a real Glance that has so many images."""
    with tempfile.TemporaryDirectory() as folder:
        with lab.Glance(os.path.join(folder, 'glance'),
                        {'site%d' % number: 'file' for number in range(STORES)}, 'site0') as glance:
            written = [record_of(glance, *one) for one in records(count)]
            subprocess.run([sys.executable, '-m', 'benchmarks._records',
                            os.path.join(glance.root, 'glance.sqlite')],
                           input=json.dumps(written).encode('utf-8'), check=True)
            path = os.path.join(folder, 'rules.yaml')
            with open(path, 'w', encoding='utf-8') as stream:
                json.dump(written_rules(), stream)
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, '-m', 'benchmarks.store_plan', '--words', 'image', 'place', '--rules', path,
                 '-f', 'json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=dict(os.environ, PYTHONWARNINGS='ignore',
                         HOME=folder, XDG_CONFIG_HOME=folder, OS_AUTH_TYPE='admin_token',
                         OS_ENDPOINT=glance.url, OS_TOKEN=lab.ADMIN))
            seconds = time.perf_counter() - started
    if done.returncode != 1:  # which says that there is something to do
        raise RuntimeError(done.stderr.decode('utf-8'))
    steps = [row['Action'] for row in json.loads(done.stdout.decode('utf-8'))]
    figures = json.loads(done.stderr.decode('utf-8').splitlines()[-1])
    return dict(figures, seconds=seconds, copies=steps.count('copy'), evictions=steps.count('evict'))


def measured(count):
    """Return the figures of a process of their own."""
    done = subprocess.run([sys.executable, '-m', 'benchmarks.store_plan', '--one', str(count)],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode('utf-8'))


def add_command(results, count, found, largest):
    """Add the figures of the command with a real Glance."""
    title = '%d records of a real Glance, the command: ' % count
    results.add(title + 'beside Glance', 's', [], [one['seconds'] - one['glance_seconds'] for one in found],
                'under %d s' % MOST_SECONDS if largest else None)
    results.add(title + "Glance's responses", 's', [], [one['glance_seconds'] for one in found])
    results.add(title + 'requests', '', [], [one['requests'] for one in found], 'one for each page of 500')
    results.add(title + 'memory', 'MiB', [], [one['mib'] for one in found],
                'under %d MiB' % MOST_MIB if largest else None)
    results.add(title + 'planned copies', '', [], [one['copies'] for one in found])
    results.add(title + 'planned evictions', '', [], [one['evictions'] for one in found])


def add_growth(results, sizes, fewer, more):
    """Add how many times as much it is with the larger number of records."""
    title = 'from %d to %d records of a real Glance: ' % sizes
    for what, figure in (('beside Glance', lambda one: one['seconds'] - one['glance_seconds']),
                         ("Glance's responses", lambda one: one['glance_seconds']),
                         ('requests', lambda one: one['requests']), ('memory', lambda one: one['mib'])):
        results.add(title + what, 'times', [],
                    [statistics.median(map(figure, more)) / statistics.median(map(figure, fewer))])


def main():
    """Run it."""
    if '--one' in sys.argv:
        print(json.dumps(measure(int(sys.argv[-1]))))
        return
    if '--words' in sys.argv:
        count_and_run(sys.argv[sys.argv.index('--words') + 1:])
    given = report.arguments(__doc__.splitlines()[0], times=1, images=10000)
    sizes = (max(given.images // 10, 1), given.images)
    results = report.Report('store_plan', times=given.times, stores=STORES, rules=RULES, images=given.images)
    for count in sizes:
        found = [measured(count) for _unused in range(given.times)]
        largest = count == given.images
        results.add('%d images: beside Glance' % count, 's', [], [
            one['reading_seconds'] + one['planning_seconds'] for one in found],
            'under %d s' % MOST_SECONDS if largest else None)
        results.add('%d images: of that, the plan' % count, 's', [],
                    [one['planning_seconds'] for one in found])
        results.add('%d images: requests' % count, '', [], [one['requests'] for one in found],
                    'one for each page of 500')
        results.add('%d images: memory, Glance included' % count, 'MiB', [], [one['mib'] for one in found],
                    'under %d MiB' % MOST_MIB if largest else None)
        results.add('%d images: planned copies' % count, '', [], [one['copies'] for one in found])
        results.add('%d images: planned evictions' % count, '', [], [one['evictions'] for one in found])
    by_size = [[command_on_real_glance(count) for _unused in range(given.times)] for count in sizes]
    for count, found in zip(sizes, by_size):
        add_command(results, count, found, count == given.images)
    add_growth(results, sizes, *by_size)
    results.finish(given.json)


if __name__ == '__main__':
    main()
