# SPDX-License-Identifier: Apache-2.0
"""Has Nova and Cinder upload, each in processes of its own, and checks where it went."""

import concurrent.futures
import os
import threading
import typing

from lab.cinder import run
from lab.demo import cases
from lab.demo import services
from lab.demo import verdict
from lab.nova import compute_hosts
from lab.poll import LabError
from lab import processes

Json = processes.Json
Done = typing.Callable[[cases.By], None]

CINDER_HOOKS = {'DEFAULT': {'volume_api_class': 'multistore_hooks.cinder.api.API'}}


class Place(typing.NamedTuple):
    """What all uploads share."""

    folder: str                     # for state that goes with the demo
    cache: str                      # for a database that is kept
    nova: str                       # the root of the patched Nova
    data: bytes                     # what every disk and volume holds
    sites: typing.Dict[bool, services.Site]     # by whether the filter is there


def upload_all(place: Place, done: Done) -> typing.List[verdict.Row]:
    """Do every case; return the rows in the order of `cases.SECTIONS`.

    A fault of Glance hits whichever upload comes next. So the processes that want one come first,
    one at a time for each Glance; then the others, as many at once as there is room for.

    :param done: called with each process that has ended.
    :raises LabError: a process did not do its work.
    """
    with open(_disk(place), 'wb') as stream:
        stream.write(place.data)
    room = threading.Semaphore(workers())
    with concurrent.futures.ThreadPoolExecutor(len(cases.runs()) + len(place.sites)) as pool:
        try:
            lanes = [pool.submit(_lane, place, filtered, pool, room, done)
                     for filtered in place.sites]
            concurrent.futures.wait(lanes, return_when=concurrent.futures.FIRST_EXCEPTION)
            rows = [row for lane in lanes if lane.done() for row in lane.result()]
        except BaseException:
            processes.end_all()     # or leaving the pool would wait for them
            raise
    by_case = {row.case: row for row in rows}
    return [by_case[case] for section in cases.SECTIONS for case in section.cases]


def workers() -> int:
    """Return how many processes to run at once: they wait for Glance for a part of their time."""
    return min(6, len(os.sched_getaffinity(0)) + 1)


def _disk(place: Place) -> str:
    return os.path.join(place.folder, 'disk.raw')


def _lane(place: Place, filtered: bool, pool: concurrent.futures.Executor,
          room: threading.Semaphore, done: Done) -> typing.List[verdict.Row]:
    """Do the cases of one Glance."""
    runs = {by: wanted for by, wanted in cases.runs().items() if by.filter == filtered}
    alone = [by for by, wanted in runs.items() if wanted[0].fault]
    rows: typing.List[verdict.Row] = []
    for by in alone:
        rows += _run(place, by, runs[by], room, done)
    together = [pool.submit(_run, place, by, runs[by], room, done)
                for by in runs if by not in alone]
    for future in together:
        rows += future.result()
    return rows


def _run(place: Place, by: cases.By, wanted: typing.List[cases.Case],
         room: threading.Semaphore, done: Done) -> typing.List[verdict.Row]:
    """Do the cases of one process."""
    glance = place.sites[by.filter].glance
    with room:
        if wanted[0].fault:
            glance.fault('PUT', '/file$', at='body', after_bytes=len(place.data) // 2)
        try:
            results = (_nova if by.service == 'Nova' else _cinder)(place, by, wanted)
        except LabError as failed:
            raise LabError('%s: %s' % (by.name, failed))
        glance.clear_faults()
        known = {result['image_id'] for result in results}
        rows = [verdict.Row(case, look(place, case, result, known))
                for case, result in zip(wanted, results)]
    done(by)
    return rows


def _user(by: cases.By) -> str:
    """A name of its own, by which a process's requests are found in Glance's log."""
    return '-'.join([by.name.lower().replace(' ', '-'), by.snapshot_store or 'plain'])


def _token(by: cases.By) -> str:
    return ':'.join([_user(by)] + services.TOKEN.split(':')[1:])


def _image_name(case: cases.Case) -> str:
    return '%s (%s, %s)' % (case.what, case.by.name, 'filter' if case.by.filter else 'no filter')


def _base(place: Place, case: cases.Case) -> str:
    return place.sites[case.by.filter].bases[case.base] if case.base else ''


def _state(place: Place, by: cases.By) -> str:
    state = os.path.join(place.folder, '%s-%s' % (_user(by), 'filter' if by.filter else 'plain'))
    os.makedirs(state)
    return state


def _nova(place: Place, by: cases.By, wanted: typing.List[cases.Case]) -> typing.List[Json]:
    document: Json = {
        'glance_url': place.sites[by.filter].glance.url, 'token': _token(by),
        'state_dir': _state(place, by),
        'operations': [{'operation': case.kind, 'image_ref': _base(place, case),
                        'image_name': _image_name(case), 'name': _image_name(case),
                        'disk': {'format': 'raw', 'bytes_from': _disk(place)}}
                       for case in wanted]}
    if by.hooks:
        document.update(nova_root=place.nova, compute_driver='multistore.LibvirtDriver')
    if by.snapshot_store:
        document['conf'] = {'multistore_hooks': {'snapshot_store': by.snapshot_store}}
    return list(compute_hosts.run(document)['results'])


def _cinder(place: Place, by: cases.By, wanted: typing.List[cases.Case]) -> typing.List[Json]:
    request: Json = {
        'glance_url': place.sites[by.filter].glance.url, 'token': _token(by),
        'state_dir': _state(place, by), 'cache_dir': place.cache,
        'operations': [{'volume': _volume(place, case), 'image': {'name': _image_name(case)}}
                       for case in wanted]}
    if by.hooks:
        request.update(volume_manager='multistore_hooks.cinder.manager.VolumeManager',
                       conf=CINDER_HOOKS)
    return list(run.run(request)['results'])


def _volume(place: Place, case: cases.Case) -> Json:
    volume: Json = {'bytes_from': _disk(place), 'bootable': bool(case.base)}
    if case.base:
        volume['glance_metadata'] = {'image_id': _base(place, case)}
    if case.type_store:
        volume['type'] = {'name': 'with ' + case.type_store,
                          'extra_specs': {'image_service:store_id': case.type_store}}
    return volume


def look(place: Place, case: cases.Case, result: Json,
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
    sent = [note['path'].split('/')[3] for note in glance.requests('PUT', '/file$')
            if note['headers'].get('x-auth-token') == _token(case.by)]
    named = glance.request('GET', '/v2/images?limit=1000').json()['images']
    return verdict.Found(
        error=result['error'], status=image.get('status'), size=image.get('size'),
        in_glance=tuple(filter(None, (image.get('stores') or '').split(','))),
        on_disk=tuple(on_disk),
        data=_compare([glance.data(store, image_id) for store in on_disk], place.data),
        uploads=sum(1 for sent_id in sent if sent_id == image_id or (
            image_id is None and sent_id not in known)),
        records=sum(1 for one in named if one['name'] == _image_name(case)),
        log=tuple(result['log']))


def _compare(copies: typing.List[bytes], data: bytes) -> str:
    if not copies:
        return cases.NONE
    return cases.SAME if all(copy == data for copy in copies) else cases.DAMAGED
