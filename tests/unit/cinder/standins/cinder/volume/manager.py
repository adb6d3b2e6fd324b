# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.volume.manager: what becomes of an upload and of a clone, in Cinder's order."""

from oslo_config import cfg
from oslo_utils import excutils
from oslo_utils import importutils

from cinder import exception

MAPPING = {'cinder.volume.drivers.old.Driver': 'cinder.volume.drivers.plain.Driver'}
CONF = cfg.CONF


class Configuration:
    """A backend's section; what is not set is None."""

    def __init__(self, **options):
        self._options = options

    def __getattr__(self, name):
        return self._options.get(name)

    def append_config_values(self, options):
        for option in options:
            self._options.setdefault(option.dest, option.default)


class VolumeManager:

    configuration = Configuration(volume_driver='cinder.volume.drivers.plain.Driver')

    def __init__(self, volume_driver=None, service_name=None, image_service=None, cluster=None):
        self.image_service, self.deleted = image_service, []
        self.driver = importutils.import_object(
            volume_driver or self.configuration.volume_driver, configuration=self.configuration,
            host='host', cluster_name=cluster)

    def copy_volume_to_image(self, context, volume, image_meta):
        try:
            if not (self.driver.configuration.image_upload_use_cinder_backend
                    and self._clone_image_volume_and_add_location(
                        context, volume, self.image_service, image_meta)):
                self.driver.copy_volume_to_image(context, volume, self.image_service, image_meta)
        except Exception:
            with excutils.save_and_reraise_exception():
                volume.status = 'available'

    def _clone_image_volume_and_add_location(self, ctx, volume, image_service, image_meta):
        try:
            registered = image_service.add_location(
                ctx, image_meta['id'], 'cinder://the-clone', volume.volume_type.extra_specs)
        except (exception.NotAuthorized, exception.Invalid, exception.NotFound):
            registered = None
        if not registered:
            self.deleted.append('the-clone')
        return bool(registered)
