# SPDX-License-Identifier: Apache-2.0
"""What all tests share: which feature a test needs, images in stores, and where they ended."""

import functools
import tempfile

from tempest.common import waiters
from tempest import config
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils
from tempest.lib import exceptions as lib_exceptions
from tempest.scenario import manager

from multistore_tempest_plugin import qcow2

CONF = config.CONF
#: Bytes of an image that are held at once.
PIECE = 1024 * 1024


def needs(feature):
    """Skip a test, with a reason, unless [multistore-feature-enabled] has the feature."""
    def decorate(test):
        @functools.wraps(test)
        def run(self, *args, **kwargs):
            if not CONF.multistore_feature_enabled[feature]:
                raise self.skipException(
                    'Needs [multistore-feature-enabled] %s = true in tempest.conf' % feature)
            return test(self, *args, **kwargs)
        return run
    return decorate


def streamed(client, image_id):
    """Yield an image's data in pieces: several workers at once must not hold it as a whole.

    tempest's own method reads all of it first.
    """
    url, headers, _body = client.auth_provider.auth_request(
        'GET', 'images/%s/file' % image_id, filters=client.filters)
    response, data = client.http_obj.request(url, 'GET', headers=headers, preload_content=False)
    if response.status != 200:
        raise lib_exceptions.UnexpectedResponseCode('GET %s: %s' % (url, response.status))
    if hasattr(response, 'stream'):
        yield from response.stream(PIECE)
    else:  # a tempest that has read it
        yield data


def spooled(pieces):
    """Return an iterator over these pieces, all of which are in a temporary file by now.

    A Glance with one worker cannot send an image while it receives another.
    """
    spool = tempfile.TemporaryFile()  # closed with the iterator
    for piece in pieces:
        spool.write(piece)
    spool.seek(0)
    return iter(functools.partial(spool.read, PIECE), b'')


class MultistoreTest(manager.ScenarioTest):
    """A cloud whose Glance has several stores."""

    credentials = ['primary', 'admin']
    #: The features that the tests of a class need, each test one of them.
    features = ()

    @classmethod
    def skip_checks(cls):
        """Skip all tests where Glance has one store only."""
        super().skip_checks()
        if not CONF.service_available.glance:
            raise cls.skipException('Needs Glance')
        if len(CONF.multistore.stores) < 2:
            raise cls.skipException(
                'Needs two stores or more in [multistore] stores in tempest.conf')
        # Each test looks for its own; but without any nothing has to be set up for the class.
        if not any(CONF.multistore_feature_enabled[feature] for feature in cls.features):
            raise cls.skipException('Needs [multistore-feature-enabled] %s = true in tempest.conf'
                                    % ' or '.join(cls.features))

    @classmethod
    def setup_clients(cls):
        """Have the administrator's clients at hand as well."""
        super().setup_clients()
        cls.admin_images = cls.os_admin.image_client_v2

    # ---- images ---------------------------------------------------------------------------

    def bootable_image(self, stores, disk_format=None):
        """Return the id of a new image that servers can boot from, in these stores and no other.

        It has the bytes of tempest's own image; a user's private image.

        :param disk_format: skip the test unless tempest's own image has this format, or can be given it
        """
        source = self.image_client.show_image(CONF.compute.image_ref)
        data = spooled(streamed(self.image_client, CONF.compute.image_ref))
        disk_format = disk_format or source['disk_format']
        if (source['disk_format'], disk_format) == ('raw', 'qcow2'):
            data = qcow2.wrap(data, source['size'])
        elif disk_format != source['disk_format']:
            raise self.skipException('Needs an image of the format %s in [compute] image_ref: it is %s'
                                     % (disk_format, source['disk_format']))
        image = self.image_client.create_image(
            name=data_utils.rand_name('multistore', prefix=CONF.resource_name_prefix),
            container_format=source['container_format'], disk_format=disk_format,
            visibility='private')
        self.addCleanup(test_utils.call_and_ignore_notfound_exc,
                        self.image_client.delete_image, image['id'])
        # tempest's own method has no argument for the store.
        headers = {'Content-Type': 'application/octet-stream', 'X-Image-Meta-Store': stores[0]}
        response, _ = self.image_client.request(
            'PUT', 'images/%s/file' % image['id'], headers=headers, chunked=True, body=data)
        self.image_client.expected_success(204, response.status)
        waiters.wait_for_image_status(self.image_client, image['id'], 'active')
        if stores[1:]:
            self.admin_images.image_import(image['id'], method='copy-image', all_stores=False,
                                           stores=list(stores[1:]))
        self.assert_stores(stores, image['id'])
        return image['id']

    def stores_of(self, image_id):
        """Return the stores that an image is in, all of it, as Glance shows them."""
        image = self.admin_images.show_image(image_id)
        coming = image.get('os_glance_importing_to_stores', '')
        return _set(image.get('stores', '')) - _set(coming)

    def assert_stores(self, stores, image_id):
        """Wait until an image is in these stores, and fail when it is elsewhere or never comes."""
        wanted = set(stores)
        test_utils.call_until_true(
            lambda: self.stores_of(image_id) == wanted, CONF.image.build_timeout,
            CONF.image.build_interval)
        self.assertEqual(wanted, self.stores_of(image_id))

    def stores_are(self, stores, image_id):
        """Assert without waiting: for what must hold at once."""
        self.assertEqual(set(stores), self.stores_of(image_id))

    # ---- which stores ---------------------------------------------------------------------

    @property
    def other_store(self):
        """A store that is neither Glance's default nor that of the compute nodes, if there is one."""
        taken = (CONF.multistore.default_store, CONF.multistore.compute_store)
        for stores in ([store for store in CONF.multistore.stores if store not in taken],
                       [store for store in CONF.multistore.stores if store != taken[0]]):
            if stores:
                return stores[0]
        raise self.skipException('Needs another store than [multistore] default_store')

    @property
    def cold_store(self):
        """A store that the compute nodes cannot clone from."""
        for store in CONF.multistore.stores:
            if store != CONF.multistore.compute_store:
                return store
        raise self.skipException('Needs another store than [multistore] compute_store')

    def store_without(self, taken):
        """Return a store that is not this one."""
        return next(store for store in CONF.multistore.stores if store != taken)

    # ---- servers --------------------------------------------------------------------------

    def expected_of_snapshot(self, image_id):
        """Return the stores that a snapshot of a server from this image belongs to.

        One store: that of the compute nodes if the image is there, else the default, else any.
        A server that booted by cloning had its image copied into the compute nodes' store; the snapshot of
        one that is a clone of a site image is made there.
        """
        if CONF.multistore_feature_enabled.site_images and CONF.multistore.compute_store:
            return {CONF.multistore.compute_store}
        stores = self.stores_of(image_id)
        for store in (CONF.multistore.compute_store, CONF.multistore.default_store):
            if store in stores:
                return {store}
        self.assertEqual(1, len(stores), 'the image is in several stores: %s' % stores)
        return stores

    def expected_of_upload(self, image_id):
        """Return the stores that an uploaded volume from this image belongs to.

        Cinder may have had the image copied into the store of its own cluster, which comes first then.
        """
        stores = self.stores_of(image_id)
        if CONF.multistore_feature_enabled.colocate:
            return stores
        if CONF.multistore.volume_store in stores:
            return {CONF.multistore.volume_store}
        self.assertEqual(1, len(stores), 'the image is in several stores: %s' % stores)
        return stores

    def volume_from(self, image_id, volume_type=None):
        """Return a volume made from an image."""
        wanted = {'imageRef': image_id, 'size': CONF.volume.volume_size}
        if volume_type:
            wanted['volume_type'] = volume_type
        return self.create_volume(**wanted)

    def upload(self, volume):
        """Upload a volume as a new image; returns the image's id when it is active."""
        body = self.volumes_client.upload_volume(
            volume['id'], image_name=data_utils.rand_name(
                'multistore', prefix=CONF.resource_name_prefix),
            disk_format=_first(CONF.volume.disk_format))['os-volume_upload_image']
        image_id = body['image_id']
        self.addCleanup(test_utils.call_and_ignore_notfound_exc,
                        self.admin_images.delete_image, image_id)
        waiters.wait_for_image_status(self.image_client, image_id, 'active')
        waiters.wait_for_volume_resource_status(self.volumes_client, volume['id'], 'available')
        return image_id


def _first(formats):
    # A list in newer releases of tempest, a string in older ones.
    return formats if isinstance(formats, str) else formats[0]


def _set(text):
    return set(filter(None, text.split(',')))
