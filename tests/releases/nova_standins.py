# SPDX-License-Identifier: Apache-2.0
"""Our classes where Nova's own unit tests expect Nova's.

The tests of the driver bring a Glance of their own, as an image service; ours would ask for a real one
through a client. So here, and here only, our image API takes the one that the test has set up.
"""

from nova.image import glance as nova_glance
from nova.virt.libvirt import driver as nova_driver
from nova.virt.libvirt import imagebackend as nova_imagebackend

from multistore_hooks.nova import driver as our_driver
from multistore_hooks.nova import image_api
from multistore_hooks.nova import rbd
from multistore_hooks import options
from tests import clock
from tests.releases import rebound

options.register_nova_opts(nova_driver.CONF)


class API(image_api.API):
    """Our image API, on the image service of the test."""

    def _get_session(self, _context):
        return nova_glance.get_default_image_service()

    def _get_session_and_image_id(self, context, id_or_uri):
        return nova_glance.get_remote_image_service(context, id_or_uri)


class GlanceClientWrapper(image_api._PlacingClient):
    """Our client wrapper, made as Nova's tests make theirs; no image is placed."""

    def __init__(self, context=None, endpoint=None):
        nova_glance.GlanceClientWrapper.__init__(self, context=context, endpoint=endpoint)
        self._snapshots, self._sent = {}, {}


class LibvirtDriver(our_driver.LibvirtDriver):
    """Our driver, with that image API."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._image_api = API()


class Rbd(rbd.Rbd):
    """Our image backend; the cluster of these tests is a mock, which is not waited for."""

    _clock = clock.Clock()


class Backend(nova_imagebackend.Backend):
    """Nova's choice of an image backend, with ours in it, as our driver makes it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.BACKEND['rbd'] = Rbd


driver = rebound.StandIn(nova_driver, LibvirtDriver=LibvirtDriver)
imagebackend = rebound.StandIn(nova_imagebackend, Rbd=Rbd, Backend=Backend)
glance = rebound.StandIn(nova_glance, GlanceClientWrapper=GlanceClientWrapper,
                         **({'API': API} if hasattr(nova_glance, 'API') else {}))
