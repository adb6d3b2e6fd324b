# SPDX-License-Identifier: Apache-2.0
"""Has Nova and Cinder upload, each in processes of its own, and checks where it went."""

import concurrent.futures
import os
import typing

from lab.cinder import run
from lab.demo import cases
from lab.demo import services
from lab.demo import verdict
from lab.nova import compute_hosts
from lab import paths
from lab.poll import LabError
from lab import processes

Json = processes.Json
# A migrated database is kept here, which the next run is spared.
CACHE = os.path.join(paths.BUILD, 'demo-cache')
CINDER_HOOKS = {'DEFAULT': {'volume_api_class': 'multistore_hooks.cinder.api.API'}}


class Place(typing.NamedTuple):
    """What all uploads share."""

    folder: str                     # for state that goes with the demo
    nova: str                       # the root of the patched Nova
    data: bytes                     # what every disk and volume holds
    sites: typing.Sequence[services.Site]   # without the filter, and with it

    @property
    def disk(self) -> str:
        """The file with the data."""
        return os.path.join(self.folder, 'disk.raw')


def upload_all(place: Place) -> typing.List[verdict.Row]:
    """Do every case, as many processes at once as there is room for; return the rows in order.

    :raises LabError: a process did not do its work.
    """
    with open(place.disk, 'wb') as stream:
        stream.write(place.data)
    # Each waits for Glance for a part of its time.
    with concurrent.futures.ThreadPoolExecutor(min(6, len(os.sched_getaffinity(0)) + 1)) as pool:
        try:
            runs = [pool.submit(_run, place, by, wanted) for by, wanted in cases.runs().items()]
            by_case = {row.case: row for one in concurrent.futures.as_completed(runs) for row in one.result()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end_all()     # or leaving the pool would wait for them
            raise
    return [by_case[case] for section in cases.SECTIONS for case in section.cases]


def _run(place: Place, by: cases.By, wanted: typing.List[cases.Case]) -> typing.List[verdict.Row]:
    """Do the cases of one process."""
    glance = place.sites[by.filter].glance
    if wanted[0].fault:
        glance.fault('PUT', '/file$', at='body', after_bytes=len(place.data) // 2, token=_token(by))
    try:
        results = (_nova if by.service == 'Nova' else _cinder)(place, by, wanted)
    except LabError as failed:
        raise LabError('%s: %s' % (by.name, failed))
    known = {result['image_id'] for result in results}
    return [verdict.Row(case, judge(place, case, result, known)) for case, result in zip(wanted, results)]


def _user(by: cases.By) -> str:
    """A name of its own, by which Glance knows a process's requests."""
    return '-'.join([by.name.lower().replace(' ', '-'), by.snapshot_store or 'plain'])


def _token(by: cases.By) -> str:
    return '%s:%s' % (_user(by), services.RIGHTS)


def _image_name(case: cases.Case) -> str:
    return '%s (%s, %s)' % (case.what, case.by.name, 'filter' if case.by.filter else 'no filter')


def _base(place: Place, case: cases.Case) -> str:
    return place.sites[case.by.filter].bases[case.base] if case.base else ''


def _document(place: Place, by: cases.By) -> Json:
    """Return what the documents of both services have in common."""
    state = os.path.join(place.folder, '%s-%s' % (_user(by), 'filter' if by.filter else 'plain'))
    os.makedirs(state)
    return {'glance_url': place.sites[by.filter].glance.url, 'token': _token(by), 'state_dir': state}


def _nova(place: Place, by: cases.By, wanted: typing.List[cases.Case]) -> typing.List[Json]:
    document = dict(_document(place, by), operations=[
        {'operation': case.kind, 'image_ref': _base(place, case),
         'image_name': _image_name(case), 'name': _image_name(case),
         'disk': {'format': 'raw', 'bytes_from': place.disk}} for case in wanted])
    if by.hooks:
        document.update(nova_root=place.nova, compute_driver='multistore.LibvirtDriver')
    if by.snapshot_store:
        document['conf'] = {'multistore_hooks': {'snapshot_store': by.snapshot_store}}
    return list(compute_hosts.run(document)['results'])


def _cinder(place: Place, by: cases.By, wanted: typing.List[cases.Case]) -> typing.List[Json]:
    document = dict(_document(place, by), cache_dir=CACHE, operations=[
        {'volume': _volume(place, case), 'image': {'name': _image_name(case)}} for case in wanted])
    if by.hooks:
        document.update(volume_manager='multistore_hooks.cinder.manager.VolumeManager', conf=CINDER_HOOKS)
    return list(run.run(document)['results'])


def _volume(place: Place, case: cases.Case) -> Json:
    volume: Json = {'bytes_from': place.disk, 'bootable': bool(case.base)}
    if case.base:
        volume['glance_metadata'] = {'image_id': _base(place, case)}
    if case.type_store:
        volume['type'] = {'name': 'with ' + case.type_store,
                          'extra_specs': {'image_service:store_id': case.type_store}}
    return volume


def judge(place: Place, case: cases.Case, result: Json,
          known: typing.Collection[typing.Optional[str]]) -> verdict.Found:
    """Find out what became of a case.

    :param result: the service's own, for this case.
    :param known: the image ids of all cases of the process: what it uploaded in addition, it did for
        a case that ended without an id.
    """
    glance, image_id = place.sites[case.by.filter].glance, result['image_id']
    image: Json = {}
    if image_id and glance.request('GET', '/v2/images/' + image_id).status == 200:
        image = glance.wait_for_import(image_id)
    on_disk = [store for store in cases.STORES if image_id and image_id in glance.files(store)]
    sent = [request['path'].split('/')[3] for request in glance.requests('PUT', '/file$')
            if request['headers'].get('x-auth-token') == _token(case.by)]
    named = glance.request('GET', '/v2/images?limit=1000').json()['images']
    copies = {glance.data(store, image_id) == place.data for store in on_disk}
    return verdict.Found(
        error=result['error'], status=image.get('status'), size=image.get('size'),
        in_glance=tuple(filter(None, (image.get('stores') or '').split(','))),
        on_disk=tuple(on_disk),
        data=cases.NONE if not copies else cases.SAME if all(copies) else cases.DAMAGED,
        uploads=sum(1 for sent_id in sent if sent_id == image_id or (
            image_id is None and sent_id not in known)),
        records=sum(1 for one in named if one['name'] == _image_name(case)),
        log=tuple(result['log']))
