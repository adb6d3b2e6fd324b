# SPDX-License-Identifier: Apache-2.0
"""One lab for all tests of a process, and what these tests have in common."""
import atexit
import contextlib
import glob
import hashlib
import http.client
import io
import operator
import os
import shutil
import tempfile
import typing

import testtools

from lab import ceph_bindings
from lab.cinder import client
from lab.glance import ADMIN
from lab import poll
from lab.poll import LabError
from lab.volume_store.lab import FAULTY
from lab.volume_store.lab import FAULTY_STOCK
from lab.volume_store.lab import Lab
from lab.volume_store.lab import OTHER
from lab.volume_store.lab import ours
from lab.volume_store.lab import PROJECTS
from lab.volume_store.lab import SERVICE
from lab.volume_store.lab import stock
from lab.volume_store.lab import unavailable_with
from lab.volume_store import mounts

MIB = 1 << 20
GIB = 1 << 30
CACHE = os.path.join(tempfile.gettempdir(), 'multistore-hooks-cinder-%d' % os.getuid())
PREFIX = 'multistore-volumes-'
#: No name may begin with another's: Glance finds a store by the beginning of a location. Each has a type of
#: its own: when a location is added, Glance gives it to the first store with the volume's type.
STORES = {
    'cheap': 'file', 'gold': ours('loop-gold'), 'paper': ours('nfs-paper'), 'small': ours('tiny-small'),
    'dirty': ours('dirty-ours'), 'attached': ours('loop-attached', extend_attached='always'),
    'other-gold': ours('loop-other', user=OTHER), 'shared': ours('loop-multi'),
    'stock-loop': stock('loop-stock'), 'stock-nfs': stock('nfs-stock'), 'stock-tiny': stock('tiny-stock'),
    'stock-other': stock('loop-stock-other', user=OTHER),
}
#: They keep an attachment until the image is deleted: how often they attach does not depend on the time.
PATIENT = {'gold': ours('loop-patient', attachment_idle_timeout='86400'),
           'shared': ours('loop-patient-multi', attachment_idle_timeout='86400'),
           'paper': ours('nfs-patient', attachment_idle_timeout='86400'),
           'ruby': ours('rbd-patient', attachment_idle_timeout='86400')}
#: Whether the tests of faults run all their cases: then there are calls that hang, which have to be ended.
ALL_FAULTS = os.environ.get('VOLUME_STORE_FAULTS') == 'all'
_LIMIT = '3' if ALL_FAULTS else '60'
_FAULTY = {'driver': FAULTY, 'timeout': _LIMIT, 'attach_timeout': _LIMIT, 'io_timeout': _LIMIT,
           'state_timeout': '15' if ALL_FAULTS else '60', 'request_retries': '1',
           'attachment_idle_timeout': '0'}
STORES.update({
    'faulty-gold': ours('loop-faulty', **_FAULTY),
    'faulty-stock': stock('loop-faulty-stock', driver=FAULTY_STOCK, cinder_http_retries='1',
                          cinder_state_transition_timeout='15'),
    # Of a Glance that is killed: what hangs is not to be given up before that.
    'killed': ours('loop-killed', driver=FAULTY, attachment_idle_timeout='0', request_retries='1', **{
        name: '60' for name in ('timeout', 'attach_timeout', 'io_timeout', 'state_timeout')})})
RBD_STORES = {'ruby': ours('rbd-ruby'), 'stock-rbd': stock('rbd-stock'),
              'faulty-ruby': ours('rbd-faulty', **_FAULTY)}
for _name, _kind in PATIENT.items():
    (RBD_STORES if _name in RBD_STORES else STORES)['patient-' + _name] = _kind
_running: typing.Dict[str, typing.Any] = {}


def unavailable() -> typing.Optional[str]:
    """Say why there can be no lab here at all; None: there can, perhaps without Ceph."""
    return mounts.unavailable() or unavailable_with([])


def running(name: str = 'all', make: typing.Optional[typing.Callable[[str], Lab]] = None
            ) -> Lab:
    """Return the lab of this name, started when it is first wanted; it goes with the process."""
    if name not in _running:
        _clear_dead()
        folder = tempfile.mkdtemp(prefix='%s%d-' % (PREFIX, os.getpid()))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        made = (make or _make)(folder)
        # Run before the folder is removed: the last one registered is the first.
        atexit.register(made.stop)
        _running[name] = made
        try:
            made.start()
        except Exception as error:
            # The next test shall not try for another minute.
            _running[name] = error
    found = _running[name]
    if isinstance(found, Exception):
        raise found
    return found


def _clear_dead() -> None:
    """Take away the mounts and devices of tests that were killed."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), PREFIX + '*-*')):
        owner = folder.rpartition(PREFIX)[2].partition('-')[0]
        if owner.isdigit() and not os.path.exists('/proc/' + owner):
            mounts.Mounts(folder).clear()
            shutil.rmtree(folder, ignore_errors=True)


def _make(folder: str) -> Lab:
    stores = dict(STORES)
    if not ceph_bindings.unavailable():
        stores.update(RBD_STORES)
    clones = {'image_upload_use_cinder_backend': 'true'}
    cinder_conf: typing.Any = {name: dict(clones) for name in ('loop', 'rbd', 'nfs')}
    # A clone that becomes an image is in the project of who uploads, or in that of the store.
    cinder_conf['rbd']['image_upload_use_internal_tenant'] = 'true'
    cinder_conf['DEFAULT'] = {
        'cinder_internal_tenant_project_id': PROJECTS[SERVICE],
        'cinder_internal_tenant_user_id': SERVICE,
        'volume_manager': 'multistore_hooks.cinder.manager.VolumeManager',
        'volume_api_class': 'multistore_hooks.cinder.api.API'}
    return Lab(folder, stores, default='cheap', cache_dir=CACHE, faults=True,
               cinder_conf=cinder_conf, conf={'DEFAULT': {'http_retries': '1'}})


class Chunked(io.BytesIO):
    """Bytes that a client sends without saying how many they are."""


class Case(testtools.TestCase):
    """A test in the lab. At its end nothing may be left of what our stores did.

    :cvar store: the store that the test is about
    """

    store = 'gold'

    def setUp(self) -> None:
        super().setUp()
        reason = unavailable()
        if reason:
            self.skipTest(reason)
        self.lab = self.started_lab()
        if self.store not in self.lab._stores:
            self.skipTest(ceph_bindings.unavailable() or 'no store %s' % self.store)
        self.lab.proxy.clear()
        self.glance, self.cinder = self.lab.glance, self.lab.cinder
        self.glance.clear_faults()
        self.glance.forget_requests()
        self.logged = len(self.glance.log_text())

    def started_lab(self) -> Lab:
        """Return the lab of these tests, started when it is first wanted."""
        return running()

    # ---- steps ---------------------------------------------------------------------------

    def upload(self, store: str, data: typing.Any, **properties: typing.Any) -> str:
        """Upload an image, which goes with the test; return its id."""
        token = properties.setdefault('token', ADMIN)
        image = self.glance.create_image(**properties)['id']
        self.addCleanup(self.forget, image)
        response = self.glance.upload(image, data, store, token=token)
        self.assertEqual(204, response.status, '%s\n%s' % (response, self.said()[-6000:]))
        return image

    def forget(self, image: str) -> None:
        """Delete an image, if it is there."""
        poll.until('deletion of image ' + image, lambda: self.glance.request(
            'DELETE', '/v2/images/' + image).status != 409)

    def volume_of(self, image: str, store: typing.Optional[str] = None) -> str:
        """Return the id of the volume with an image's data, as its location says."""
        locations = self.glance.image(image)['locations']
        found, = [one['url'] for one in locations if one['metadata']['store'] == (store or self.store)]
        self.assertTrue(found.startswith('cinder://%s/' % (store or self.store)), found)
        return found.rpartition('/')[2]

    def range(self, image: str, first: int, last: int) -> bytes:
        """Return the bytes of a range request."""
        response = self.glance.request('GET', '/v2/images/%s/file' % image,
                                       headers={'Range': 'bytes=%d-%d' % (first, last)})
        self.assertEqual(206, response.status, response)
        return response.body

    def digest(self, image: str) -> typing.Tuple[int, str]:
        """Download an image piece by piece; return its length and its SHA-512."""
        connection, response = self.begin_download(image)
        size, found = 0, hashlib.sha512()
        try:
            while True:
                data = response.read(MIB)
                if not data:
                    return size, found.hexdigest()
                size += len(data)
                found.update(data)
        finally:
            connection.close()

    def begin_download(self, image: str) -> typing.Tuple[typing.Any, http.client.HTTPResponse]:
        """Request an image's data, and read none of it."""
        connection = http.client.HTTPConnection('127.0.0.1', self.glance.port, timeout=poll.SECONDS)
        connection.request('GET', '/v2/images/%s/file' % image, headers={'X-Auth-Token': ADMIN})
        response = connection.getresponse()
        self.assertEqual(200, response.status)
        return connection, response

    def said(self) -> str:
        """Return what Glance has logged since the test began."""
        return self.glance.log_text()[self.logged:]

    def attached(self, pattern: str = '/attachments$') -> int:
        """Return how many attachments Glance requested of Cinder."""
        return self.lab.proxy.count('POST', pattern)

    # ---- what is left ----------------------------------------------------------------------

    def images(self) -> typing.Dict[str, client.Json]:
        """Return all images by id."""
        found = self.glance.request('GET', '/v2/images?limit=1000').json()['images']
        return {one['id']: one for one in found}

    def leftovers(self) -> typing.List[str]:
        """Say which volumes belong to no image, which attachments there are, and which devices and files."""
        wanted = {one['url'].rpartition('/')[2] for image in self.images().values()
                  for one in image.get('locations', [])}
        found = ['volume %s (%s, %s)' % (name, one['status'], one['name'])
                 for name, one in self.cinder.volumes().items() if name not in wanted]
        found += ['attachment %s of volume %s (%s)' % (name, one['volume_id'], one['status'])
                  for name, one in self.cinder.attachments().items()]
        return found + self.lab.left()

    def settled(self, seconds: float = poll.SECONDS,
                enough: typing.Callable[[typing.List[str]], bool] = operator.not_) -> typing.List[str]:
        """Return what is left, once that is enough (nothing), or the time is over."""
        found: typing.List[str] = []

        def holds() -> bool:
            found[:] = self.leftovers()
            return enough(found)
        with contextlib.suppress(LabError):
            poll.until('end of the clean-up', holds, seconds)
        return found

    def assertNothingLeft(self) -> None:
        """There is no volume without an image, no attachment, no device."""
        self.assertEqual([], self.settled())

    def tidy(self) -> None:
        """Take away attachments, devices and the volumes that belong to no image."""
        for attachment in self.cinder.attachments():
            with contextlib.suppress(client.Refused):   # it has gone in this moment
                self.cinder.detach(attachment)
        self.lab.mounts.detach_loops()
        for line in self.leftovers():
            if line.startswith('volume '):
                self.cinder.force_delete(line.split()[1])

    def sweep(self) -> None:
        """Take away what a stock store left, so that the next test finds nothing."""
        for image in self.images():
            self.forget(image)
        for volume in self.cinder.volumes():
            self.cinder.force_delete(volume)
        self.lab.mounts.detach_loops()
