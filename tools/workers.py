# SPDX-License-Identifier: Apache-2.0
"""Which of stestr's workers runs which modules of the functional tests.

stestr by itself deals the tests out one by one, so every worker would start every lab: Ceph's two
clusters, Cinder with its backends, a Glance of each kind, a nova-compute of each configuration.
Here a module stays with one worker, and those that share a lab stay together.
"""

import glob
import json
import os
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = 'tests.functional'
#: Modules with a lab in common.
TOGETHER = (
    ('test_nova_copy', 'test_nova_copy_life', 'test_nova_copy_train', 'test_lab_boot', 'test_lab_ceph',
     'test_status'),
    ('test_volume_store', 'test_volume_store_faults', 'test_volume_store_losses',
     'test_volume_store_owners'),
)
#: Roughly how long they take, in seconds, so that the workers end together. A module that is not
#: listed is run all the same.
SECONDS = {
    'test_cinder_api': 86, 'test_cinder_clone': 72, 'test_cinder_faults': 126, 'test_cinder_rbd': 12,
    'test_cinder_seams': 20, 'test_cinder_uploads': 94, 'test_cli': 53, 'test_cli_pages': 32,
    'test_contract': 19, 'test_demo': 17, 'test_devstack': 235, 'test_devstack_glance': 45,
    'test_documentation': 80, 'test_gate': 1, 'test_lab_boot': 68, 'test_lab_ceph': 16,
    'test_lab_cinder': 37, 'test_lab_glance': 16, 'test_lab_nova': 13, 'test_nova_copy': 261,
    'test_nova_copy_life': 193, 'test_nova_copy_train': 1, 'test_nova_snapshots': 222,
    'test_packaging': 89, 'test_releases_tool': 1, 'test_rootwrap': 17, 'test_slow_disk': 3,
    'test_status': 23, 'test_volume_store': 177, 'test_volume_store_faults': 160,
    'test_volume_store_losses': 64, 'test_volume_store_owners': 68,
}
UNKNOWN_SECONDS = 20

Worker = typing.List[str]


def modules() -> typing.List[str]:
    """Return the names of all modules with functional tests."""
    folder = os.path.join(ROOT, *PACKAGE.split('.'))
    return sorted(os.path.basename(path)[:-len('.py')]
                  for path in glob.glob(os.path.join(glob.escape(folder), 'test_*.py')))


def deal(names: typing.Iterable[str], count: int) -> typing.List[Worker]:
    """Return the modules of each of so many workers; the longest go first, to who has least."""
    groups: typing.Dict[typing.Tuple[str, ...], Worker] = {}
    for name in names:
        groups.setdefault(next((group for group in TOGETHER if name in group), (name,)), []).append(name)
    workers: typing.List[Worker] = [[] for _ in range(count)]
    for group in sorted(groups.values(), key=_seconds, reverse=True):
        min(workers, key=_seconds).extend(group)
    return [worker for worker in workers if worker]


def _seconds(names: typing.Iterable[str]) -> int:
    return sum(SECONDS.get(name, UNKNOWN_SECONDS) for name in names)


def write(path: str, count: int) -> None:
    """Write a file for stestr's --worker-file."""
    described = [{'worker': [r'^%s\.%s\.' % (PACKAGE.replace('.', r'\.'), name) for name in worker]}
                 for worker in deal(modules(), count)]
    with open(path, 'w', encoding='utf-8') as stream:
        json.dump(described, stream, indent=1)    # which is YAML
