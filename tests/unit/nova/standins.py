# SPDX-License-Identifier: Apache-2.0
"""Light stand-ins for the classes of Nova that the seam builds on, for a test's time.

They have the shapes of Nova 20 to 34 as far as the seam uses them. What holds them true are the functional
tests, which run the same seam with the real Nova.
"""

import sys
import types

import fixtures
import glanceclient.exc
from oslo_config import cfg

from tests import contract
from tests import fake_glance
from tests.unit import modules

FSID = 'the-cluster'


class NovaException(Exception):
    """As Nova's: a text made from arguments, or a text."""

    msg_fmt = 'An unknown exception occurred.'

    def __init__(self, message=None, **kwargs):
        super().__init__(message or self.msg_fmt % kwargs)


def _exceptions():
    def made(name, base, msg_fmt):
        return type(name, (base,), {'msg_fmt': msg_fmt})

    forbidden = made('Forbidden', NovaException, 'Forbidden')
    not_found = made('NotFound', NovaException, 'Resource could not be found.')
    return {
        'NovaException': NovaException, 'Forbidden': forbidden, 'NotFound': not_found,
        'ImageNotFound': made('ImageNotFound', not_found, 'Image %(image_id)s could not be found.'),
        'ImageNotAuthorized': made('ImageNotAuthorized', NovaException,
                                   'Not authorized for image %(image_id)s.'),
        'ImageUnacceptable': made('ImageUnacceptable', NovaException,
                                  'Image %(image_id)s is unacceptable: %(reason)s'),
        'ImageBadRequest': made('ImageBadRequest', NovaException,
                                'Request of image %(image_id)s got BadRequest response: %(response)s'),
        'ImageDeleteConflict': made('ImageDeleteConflict', NovaException, 'Conflict: %(reason)s'),
        'GlanceConnectionFailed': made('GlanceConnectionFailed', NovaException,
                                       'Connection to glance host %(server)s failed: %(reason)s')}


class Images:
    """What Nova calls of ``client.images``, on the fake Glance."""

    def __init__(self, cloud, http):
        self._cloud, self._http = cloud, http

    def get(self, image_id):
        return self._http.get('/v2/images/%s' % image_id)[1]

    def delete(self, image_id):
        self._http.delete('/v2/images/%s' % image_id)

    def update(self, image_id, **properties):
        return self.get(image_id)

    def add_location(self, image_id, url, metadata):
        self._cloud.locations.append((image_id, url, metadata))
        return self._cloud.on_location(image_id)

    def upload(self, image_id, data):
        self._http.put('/v2/images/%s/file' % image_id, data=data,
                       headers={'Content-Type': 'application/octet-stream'})

    def create(self, image_id, member_id):
        return 'member'


class Client:
    """A glanceclient whose ``http_client`` is real."""

    def __init__(self, cloud):
        self.http_client = contract.session_client(
            'http://glance', cloud.token, fake_glance.SocketlessAdapter(cloud.application)).http_client
        self.images = self.image_members = Images(cloud, self.http_client)


class Cloud(fixtures.Fixture):
    """A Nova of stand-ins, a fake Glance, and the seam imported on top of them.

    :param glance: a FakeGlance.

    ``on_location`` is called with an image's id when Nova adds a location.
    """

    token = 'u1:p1:member,reader'

    def __init__(self, glance):
        super().__init__()
        self.glance = self.application = glance
        self.locations, self.sessions = [], []
        self.on_location = lambda image_id: None
        self.auth = types.SimpleNamespace(get_headers=lambda session: {})

    def _setUp(self):
        modules.remove(self, lambda name: (name + '.').startswith(('nova.', 'multistore_hooks.nova.')))
        self.conf = self._conf()
        self.exception = self._module('nova.exception', **_exceptions())
        self._module('nova.conf', CONF=self.conf)
        self._module('nova.context', RequestContext=types.SimpleNamespace)
        self._module('nova.compute.task_states', SHELVING='shelving', IMAGE_SNAPSHOT='image_snapshot',
                     IMAGE_BACKUP='image_backup')
        self._module('nova.compute.vm_states', SHELVED_OFFLOADED='shelved_offloaded')
        self._module('nova.image.glance', **self._image_classes())
        self.rbd_utils = self._rbd_utils()
        self.imagebackend = self._module('nova.virt.libvirt.imagebackend', rbd_utils=self.rbd_utils, Rbd=Rbd)
        self.libvirt_utils = self._module('nova.virt.libvirt.utils', fetch_image=None)
        self.nova_driver = self._module('nova.virt.libvirt.driver', LibvirtDriver=LibvirtDriver)

    @staticmethod
    def _module(name, **attributes):
        module = types.ModuleType(name)
        vars(module).update(attributes)
        sys.modules[name] = module
        parent, _dot, last = name.rpartition('.')
        if parent:
            setattr(sys.modules.get(parent) or Cloud._module(parent), last, module)
        return module

    @staticmethod
    def _conf():
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt('images_type', default='rbd'),
                            cfg.StrOpt('images_rbd_pool', default='vms')], group='libvirt')
        conf.register_opts([cfg.IntOpt('num_retries', default=1),
                            cfg.BoolOpt('verify_glance_signatures', default=False)], group='glance')
        conf.register_opts([cfg.BoolOpt('remove_unused_base_images', default=True),
                            cfg.IntOpt('remove_unused_original_minimum_age_seconds', default=86400)],
                           group='image_cache')
        conf.register_opts([cfg.StrOpt('instances_path'), cfg.StrOpt('host', default='compute'),
                            cfg.BoolOpt('force_raw_images', default=True),
                            cfg.IntOpt('max_concurrent_builds', default=10)])
        conf.register_opts([cfg.BoolOpt('never_download_image_if_on_rbd', default=False)],
                           group='workarounds')
        conf([])
        return conf

    @staticmethod
    def _rbd_utils():
        class Error(Exception):
            """Ceph's."""

        def kinds(*names):
            return types.SimpleNamespace(Error=Error, **{name: type(name, (Error,), {}) for name in names})

        return types.SimpleNamespace(rados=kinds('ObjectBusy', 'ObjectExists', 'ObjectNotFound'),
                                     rbd=kinds('ImageNotFound', 'ImageExists', 'ImageBusy',
                                               'PermissionError'),
                                     RBDDriver=RBDDriver)

    def _image_classes(self):
        cloud, exceptions = self, self.exception

        class GlanceClientWrapper:
            """Retries as Nova's does, with a new client for each attempt, and without its pauses."""

            def __init__(self, context=None, endpoint=None):
                self.client = None

            def _create_onetime_client(self, context, version):
                return Client(cloud)

            def call(self, context, version, method, controller=None, args=None, kwargs=None):
                for left in range(cloud.conf.glance.num_retries, -1, -1):
                    client = self.client or self._create_onetime_client(context, version)
                    try:
                        return getattr(getattr(client, controller or 'images'), method)(
                            *(args or ()), **(kwargs or {}))
                    except (glanceclient.exc.HTTPServiceUnavailable, glanceclient.exc.CommunicationError,
                            glanceclient.exc.InvalidEndpoint, IOError) as error:
                        if not left:
                            raise exceptions.GlanceConnectionFailed(server='glance', reason=error)

        class GlanceImageServiceV2:
            def __init__(self, client=None):
                self._client = client or GlanceClientWrapper()

            def show(self, context, image_id):
                return self._run(image_id, lambda: self._client.call(context, 2, 'get', args=(image_id,)))

            def delete(self, context, image_id):
                self._run(image_id, lambda: self._client.call(context, 2, 'delete', args=(image_id,)))

            def update(self, context, image_id, image_meta, data=None, purge_props=True):
                def update():
                    location = image_meta.pop('location', None)
                    image = self._client.call(context, 2, 'update', kwargs={'image_id': image_id})
                    if location:
                        # Before 2024.2 Glance responds with the record.
                        image = self._client.call(context, 2, 'add_location',
                                                  args=(image_id, location, {})) or image
                    if data is not None:
                        self._client.call(context, 2, 'upload', args=(image_id, data))
                        if cloud.reads_after_upload:
                            image = self._client.call(context, 2, 'get', args=(image_id,))
                    return dict(image)
                return self._run(image_id, update)

            @staticmethod
            def _run(image_id, function):
                try:
                    return function()
                except glanceclient.exc.HTTPForbidden as error:
                    raise exceptions.ImageNotAuthorized(image_id=image_id) from error
                except glanceclient.exc.HTTPNotFound as error:
                    raise exceptions.ImageNotFound(image_id=image_id) from error
                except glanceclient.exc.HTTPBadRequest as error:
                    raise exceptions.ImageBadRequest(image_id=image_id, response=error) from error

        class API:
            def _get_session_and_image_id(self, context, id_or_uri):
                return GlanceImageServiceV2(), id_or_uri.rpartition('/')[2]

            def get(self, context, id_or_uri, include_locations=False):
                session, image_id = self._get_session_and_image_id(context, id_or_uri)
                return session.show(context, image_id)

            def update(self, context, id_or_uri, image_info, data=None, purge_props=False):
                session, image_id = self._get_session_and_image_id(context, id_or_uri)
                return session.update(context, image_id, image_info, data=data, purge_props=purge_props)

            def delete(self, context, id_or_uri):
                session, image_id = self._get_session_and_image_id(context, id_or_uri)
                return session.delete(context, image_id)

        return {'GlanceClientWrapper': GlanceClientWrapper, 'GlanceImageServiceV2': GlanceImageServiceV2,
                'API': API, '_session_and_auth': lambda context: (self.session, self.auth)}

    session = None
    reads_after_upload = True


class RBDDriver:
    """Nova's driver of one cluster."""

    pool, rbd_user, ceph_conf = 'vms', 'nova', '/etc/ceph/ceph.conf'

    def get_fsid(self):
        return FSID

    def parent_info(self, name):
        raise sys.modules['nova.exception'].ImageUnacceptable(image_id=name, reason='it has no parent')


class Rbd:
    """Nova's image backend."""

    def __init__(self, instance=None, disk_name=None, path=None, disk_info_mapping=None):
        self.driver, self.rbd_name = sys.modules['nova.virt.libvirt.imagebackend'].rbd_utils.RBDDriver(), path

    def clone(self, context, image_id_or_uri, copy_to_store=True):
        return 'cloned by Nova'

    def exists(self):
        return False

    def create_image(self, prepare_template, base, size, *args, **kwargs):
        return 'made by Nova'

    def direct_snapshot(self, context, snapshot_name, image_format, image_id, base_image_id):
        return self._get_parent_pool(context, base_image_id, FSID)

    def _get_parent_pool(self, context, base_image_id, fsid):
        return "Nova's"


class LibvirtDriver:
    """Nova's driver: ``take`` stands for what it does between the start and the end of a snapshot."""

    def __init__(self, virtapi, read_only=False):
        self.image_backend = types.SimpleNamespace(BACKEND={'rbd': Rbd})
        self.taken = []
        self.take = lambda context, instance, image_id: None

    def snapshot(self, context, instance, image_id, update_task_state):
        self.taken.append(image_id)
        self.take(context, instance, image_id)

    def cache_image(self, context, image_id):
        return 'by Nova'

    def manage_image_cache(self, context, all_instances):
        self.taken.append('image cache')
