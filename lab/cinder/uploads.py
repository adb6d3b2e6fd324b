# SPDX-License-Identifier: Apache-2.0
"""One upload after the other, inside a process that :mod:`lab.cinder.boot` prepared."""
import logging
import os
import platform
import queue
import shutil
import time
import typing

from cinder.api.middleware import auth as middleware
from cinder import context
from cinder.db import api as db_api
from cinder import objects
from cinder.objects import base as objects_base
from cinder import rpc
from cinder import version
from cinder import volume as cinder_volume
from cinder.volume import rpcapi
from cinder.volume import volume_types
import glanceclient
from oslo_db import exception as db_exception
import oslo_messaging as messaging
from oslo_utils import importutils
import webob

from lab.cinder import conf
from lab import keystone

ARRIVAL_SECONDS = 20
GIB = 1 << 30
Json = typing.Dict[str, typing.Any]


def versions() -> Json:
    """Return which Cinder, glanceclient and Python are at work."""
    return {'cinder': version.version_string(), 'glanceclient': glanceclient.__version__,
            'python': platform.python_version()}


class Lab:
    """A volume manager with its driver set up, and the API in front of it.

    :param configured: oslo.config's CONF, already read
    :param token: 'user:project:role,role'
    """

    def __init__(self, configured: typing.Any, token: str) -> None:
        self._log = _Collector()
        self._configured = configured
        self._context = _user_context(token, configured.auth_strategy)
        self._host = '%s@%s' % (conf.HOST, conf.BACKEND)
        manager_class = importutils.import_class(configured.volume_manager)
        self._manager = manager_class(
            host=self._host, cluster=None, service_name=conf.BACKEND)
        self._manager.init_host(added_to_cluster=None, service_id=None)
        self._arrivals = _Arrivals()
        target = messaging.Target(topic='cinder-volume.' + self._host, server=conf.HOST)
        rpc.get_server(target, [self._arrivals], objects_base.CinderObjectSerializer()).start()
        self._api = cinder_volume.API()

    def upload(self, operation: Json) -> Json:
        """Make the volume, upload it, and report what came of it; never raises for the upload."""
        self._log.lines = []
        result: Json = {'volume_id': None, 'volume_type': None, 'image_id': None,
                        'stage': 'volume', 'error': None, 'seconds': None}
        try:
            made = self._make_volume(operation['volume'])
            result.update(volume_id=made.id, stage='api',
                          volume_type=made.volume_type and made.volume_type.name)
            self._log.lines = []  # what the lab itself gave rise to
            self._upload(made, operation.get('image') or {}, result)
        except Exception as error:
            result['error'] = '%s: %s' % (type(error).__name__, error)
        result['volume_status'] = self._put_away(result['volume_id'])
        result['log'] = self._log.lines
        return result

    def _put_away(self, volume_id: typing.Optional[str]) -> typing.Optional[str]:
        if volume_id is None:
            return None
        made = objects.Volume.get_by_id(self._context, volume_id)
        os.unlink(self._manager.driver.local_path(made))
        return made.status

    def _upload(self, made: typing.Any, image: Json, result: Json) -> None:
        metadata = {'name': image.get('name') or made.display_name,
                    'disk_format': image.get('disk_format', 'raw'),
                    'container_format': image.get('container_format', 'bare')}
        response = self._api.copy_volume_to_image(self._context, made, metadata, False)
        result.update(image_id=response['image_id'], stage='manager')
        arrived, volume_id, record = self._arrivals.get()
        began = time.monotonic()
        try:
            self._manager.copy_volume_to_image(arrived, volume_id, record)
        finally:
            result['seconds'] = round(time.monotonic() - began, 3)

    def _make_volume(self, wanted: Json) -> typing.Any:
        source = wanted['bytes_from']
        made = objects.Volume(
            context=self._context, user_id=self._context.user_id,
            project_id=self._context.project_id,
            host='%s#%s' % (self._host, conf.SHARE), provider_location=conf.SHARE,
            size=max(1, -(-os.path.getsize(source) // GIB)), status='available',
            attach_status='detached', availability_zone='nova',
            display_name=wanted.get('name', 'volume of the lab'),
            bootable=bool(wanted.get('bootable')),
            volume_type_id=self._type_id(wanted.get('type')))
        made.create()
        if wanted.get('glance_metadata'):
            db_api.volume_glance_metadata_bulk_create(
                self._context, made.id, wanted['glance_metadata'])
        if wanted.get('type') is False:
            self._forget_type(made.id)
        made = objects.Volume.get_by_id(self._context, made.id)
        self._place(source, self._manager.driver.local_path(made))
        return made

    def _type_id(self, wanted: typing.Any) -> typing.Optional[str]:
        if not wanted:
            return volume_types.get_default_volume_type()['id']
        admin = context.get_admin_context()
        for kind in volume_types.get_all_types(admin).values():
            if kind['name'] == wanted['name']:
                return kind['id']
        return volume_types.create(admin, wanted['name'], wanted.get('extra_specs'))['id']

    def _forget_type(self, volume_id: str) -> None:
        # NULL is what a row from before Train has. From Ussuri on the column refuses it; an
        # empty id is then the one value with which Cinder's object has no type.
        try:
            db_api.volume_update(self._context, volume_id, {'volume_type_id': None})
        except db_exception.DBError:
            db_api.volume_update(self._context, volume_id, {'volume_type_id': ''})

    @staticmethod
    def _place(source: str, target: str) -> None:
        # An upload only reads; a link spares the copying of a large volume.
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


class _Arrivals:
    """The far end of the cast: keeps what the volume service would have been called with."""

    target = messaging.Target(version=rpcapi.VolumeAPI.RPC_API_VERSION)

    def __init__(self) -> None:
        self._queue: 'queue.Queue[tuple]' = queue.Queue()

    def copy_volume_to_image(self, ctxt, volume_id, image_meta):
        """Take the cast in."""
        self._queue.put((ctxt, volume_id, image_meta))

    def get(self) -> tuple:
        """Return the next cast's (context, volume id, image record)."""
        try:
            return self._queue.get(timeout=ARRIVAL_SECONDS)
        except queue.Empty:
            raise RuntimeError('the cast of the volume API did not arrive') from None


class _Collector(logging.Handler):
    """Keeps WARNING and above of everybody, and INFO of multistore_hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: typing.List[str] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as one line if it is wanted."""
        ours = record.name.split('.')[0] == 'multistore_hooks' and record.levelno >= logging.INFO
        if ours or record.levelno >= logging.WARNING:
            self.lines.append('%s %s: %s' % (record.levelname, record.name, record.getMessage()))


def _user_context(token: str, auth: str) -> typing.Any:
    """Return the context that Cinder's own middleware makes for a request with this token."""
    found = []

    def application(environ, start_response):
        found.append(environ['cinder.context'])
        start_response('204 No Content', [])
        return []

    if auth == 'keystone':
        pipeline = keystone.FakeAuth(middleware.CinderKeystoneContext(application))
    else:
        pipeline = middleware.NoAuthMiddleware(application)
        token = ':'.join(token.split(':')[:2])
    webob.Request.blank('/', headers={'X-Auth-Token': token}).get_response(pipeline)
    return found[0]
