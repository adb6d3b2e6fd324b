# SPDX-License-Identifier: Apache-2.0
"""Many computes of two sites boot one image at once that is near neither: stock Nova, and site images.

A case is an image and what Glance can do about it; ``--case NAME`` measures that one. As in ``boot_storm``
each compute is a process of its own, and bytes are counted, not captured: the image's size times copies by
Glance, downloads by computes, and imports by computes into Ceph, be it of a whole disk or of a site image.
The processor time is that of the computes alone, qemu-img included, without Ceph's and Glance's. The same
boots of one of the two sites alone come after those of both.
"""

import glob
import json
import os
import subprocess
import sys
import typing

from benchmarks import _sites
from benchmarks import report
from lab.nova import compute_hosts
from tests.functional import nova_runs

STOCK, OURS = _sites.STOCK, _sites.OURS
#: Stock hosts without images_rbd_glance_store_name, which download where Glance lets nobody copy.
DOWNLOADS = 'stock without a store'
VERSIONS = {'nova': '20.6.1', 'glance': '19.0.4'}


class Case(typing.NamedTuple):
    """What is booted, and what Glance can do about it."""

    purpose: str
    disk_format: str = 'raw'
    #: Glance is configured with ``stores`` and without ``enabled_backends``, and hosts know no store.
    one_store: bool = False
    #: Our hosts have credentials with which Glance makes copies; stock hosts use an administrator's token.
    may_copy: bool = False
    #: Stock hosts that name a store fail: those that are compared name none.
    stock_fails: bool = False
    train: bool = False


CASES = {
    'raw': Case('a raw image that Glance copies', may_copy=True),
    'qcow2': Case('a qcow2 image', 'qcow2'),
    'refused': Case('a raw image that Glance copies for administrators only', stock_fails=True),
    'single': Case('a raw image in a Glance with one store', one_store=True),
    'train': Case('a raw image, Nova and Glance of Train', train=True),
}
WARM = 'warm'
FIGURES = (('clones', '', 'clones', 'ours: all'),
           ('flat disks', '', 'flat', 'ours: 0'),
           ('failed boots', '', 'failures', 'ours: 0'),
           ('copies and downloads of the image', '', 'fetches', 'ours: at most 2'),
           ('moved over the network', 'MiB', 'mib', 'at most 0.125'),
           ('time to the last boot', 's', 'seconds', 'at most 1'),
           ('processor time of the computes', 's', 'processor', None))


class Sites(_sites.Sites):
    """The sites of a case."""

    def __init__(self, number: int, disks: int, case: Case) -> None:
        glance: typing.Dict[str, typing.Any] = {}
        self._python, self._nova = sys.executable, None
        if case.train:
            self._python, self._nova, tree = _train()
            policies, = glob.glob(os.path.join(tree, 'glance-*.data/data/etc/glance/policy.json'))
            with open(policies, encoding='utf-8') as stream:
                glance = {'python': self._python, 'pythonpath': tree, 'eventlet': True,
                          'policy': json.load(stream), 'import_methods': ['glance-direct']}
        super().__init__(number, disks, multistore=not case.one_store, **glance)
        self._case = case

    def image(self, mib: int) -> str:
        if self._case.disk_format == 'raw':
            return super().image(mib)
        raw, made = (os.path.join(self.root, name) for name in ('raw', 'qcow2'))
        with open(raw, 'wb') as stream:
            for _ in range(mib):
                stream.write(os.urandom(1 << 20))
        subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, made], check=True)
        image = self.glance.create_image(visibility='public', disk_format='qcow2')['id']
        with open(made, 'rb') as source:
            answer = self.glance.upload(image, source)
        assert answer.status == 204, answer
        os.unlink(raw)
        os.unlink(made)
        return str(image)

    def hosts(self, driver: str, number: int) -> typing.List[compute_hosts.Host]:
        fleet = self._fleets.setdefault(driver, [])
        while len(fleet) < number:
            site = len(fleet) % len(self.stores)
            own: typing.Dict[str, typing.Any] = {}
            if driver == OURS:
                own = {'multistore_hooks': dict({'site_images': 'fallback'}, **(
                    self.credentials() if self._case.may_copy else {}))}
            named = not self._case.one_store and (
                driver == OURS or driver == STOCK and not self._case.train)  # Train has no such option
            fleet.append(compute_hosts.Host(compute_hosts.document(
                self.clusters[site], self.glance.url, self.stores[site] if named else '',
                poll_seconds=_sites.POLL_SECONDS, timeout_seconds=_sites.TIMEOUT_SECONDS,
                compute_driver=OURS if driver == OURS else STOCK,
                nova_root=nova_runs.root(self._python, self._nova), conf=own), self._python))
            if len(fleet) % 4 == 0:
                fleet[-1].ready()
        for host in fleet:
            host.ready()
        return fleet[:number]

    def boots(self, driver: str, given: typing.Any, sites: typing.Optional[int] = None) -> _sites.Storm:
        """Boot on all hosts at once, or on those of the first so many sites."""
        by_admin = self._case.may_copy and driver == STOCK
        storm = self.storm(driver, given.hosts, given.mib, _sites.ADMIN if by_admin else _sites.MEMBER,
                           sites=sites)
        report.say('%s, %s sites: %s' % (driver, sites or 'all', storm))
        return storm

    def copies(self, image: str) -> int:
        return 0 if self._case.train else super().copies(image)

    def look(self, ran: typing.List[compute_hosts.Result], image: str, mib: int) -> _sites.Storm:
        """Count the imports of site images besides."""
        made = len([line for one in ran for line in one['log']
                    if line['text'].startswith('Published the site image')])
        storm = super().look(ran, image, mib)
        return storm._replace(mib=storm.mib + made * mib)

    def warm_boots(self, mib: int, times: int) -> typing.Tuple[typing.List[float], typing.List[float]]:
        """Return the seconds of boots of one server at a time: of a copy by Glance, and of a site image."""
        host, = self.hosts(OURS, 1)
        copy, made = super().image(mib), self.image(mib)
        self.glance.import_copy(copy, self.stores[:1])
        seconds: typing.Dict[str, typing.List[float]] = {copy: [], made: []}
        for number in range(times + 1):
            for image in sorted(seconds, key=[copy, made].index, reverse=bool(number % 2)):
                booted = host.run({'operation': 'boot', 'image_ref': image, 'name': 'server',
                                   'token': _sites.MEMBER, 'root_gb': 0})['results'][0]
                parent = ('images/%s@snap' % copy if image == copy
                          else 'vms/multistore_hooks.site_image.%s.' % made)
                assert booted['outcome'] == 'clone' and booted['parent'].startswith(parent), booted
                host.run({'operation': 'delete', 'name': 'server'})
                seconds[image].append(booted['seconds'])
        return seconds[copy][1:], seconds[made][1:]  # the first one makes the site image


def _train() -> typing.Tuple[str, str, str]:
    names = ['MULTISTORE_TRAIN_' + name for name in ('PYTHON', 'NOVA', 'GLANCE')]
    found = [os.environ.get(name, '') for name in names]
    if not all(found):
        sys.exit('%s name the interpreter with the requirements of Train, the package nova and the folder of '
                 'Glance' % ', '.join(names))
    return found[0], found[1], found[2]


def storms(given: typing.Any, name: str) -> report.Report:
    """Measure a case."""
    case, stock = CASES[name], DOWNLOADS if CASES[name].stock_fails else STOCK
    results = report.Report('site_images_' + name, **{
        key: getattr(given, key) for key in ('hosts', 'sites', 'mib', 'times')})
    if case.train:
        results.versions.update(VERSIONS)
    with Sites(given.sites, (given.hosts + given.sites) * given.mib, case) as sites:
        if case.stock_fails:
            failed = sites.boots(STOCK, given)
            results.add('failed boots where stock names a store', '', [failed.failures], [])
            sites.dismiss(STOCK)
        ran: typing.Dict[str, typing.List[_sites.Storm]] = {stock: [], OURS: []}
        alone: typing.Dict[str, typing.List[_sites.Storm]] = {stock: [], OURS: []}
        for driver in ran:
            sites.hosts(driver, given.hosts)
        for number in range(given.times):
            for driver in sorted(ran, reverse=bool(number % 2)):
                ran[driver].append(sites.boots(driver, given))
                alone[driver].append(sites.boots(driver, given, 1))
    for what, unit, figure, target in FIGURES:
        results.add(what, unit, *([_figure(one, figure, given.hosts) for one in ran[driver]]
                                  for driver in (stock, OURS)),
                    target=target, better='more' if figure == 'clones' else 'less')
    for what, figure in (('time to the last boot', 'seconds'),
                         ('processor time of the computes', 'processor')):
        results.add('one site alone: ' + what, 's', *(
            [_figure(one, figure, 0) for one in alone[driver]] for driver in (stock, OURS)))
    results.add('last boot, two sites at once to one alone', '', *(
        [both.seconds / one.seconds for both, one in zip(ran[driver], alone[driver])]
        for driver in (stock, OURS)), target='ours: at most 1.25')
    return results


def _figure(storm: _sites.Storm, name: str, hosts: int) -> float:
    if name == 'flat':
        return hosts - storm.clones - storm.failures
    if name == 'fetches':
        return storm.copies + storm.downloads
    return float(getattr(storm, name))


def warm(given: typing.Any) -> report.Report:
    """Measure single boots of what is near."""
    results = report.Report('site_images_warm', mib=64, times=given.boots)
    with Sites(1, 4 * 64, CASES['qcow2']) as sites:
        copy, made = sites.warm_boots(64, given.boots)
    results.add('one boot of a warm site image, to one of a copy by Glance', 's', copy, made, 'at most 1.1')
    return results


def main() -> None:
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], hosts=20, sites=2, mib=1024, times=1, boots=40, case='')
    names = given.case.split(',') if given.case else list(CASES) + [WARM]
    if given.json and len(names) > 1:
        sys.exit('--json is for one --case')
    for name in names:
        results = warm(given) if name == WARM else storms(given, name)
        results.finish(given.json)


if __name__ == '__main__':
    main()
