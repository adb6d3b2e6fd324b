# SPDX-License-Identifier: Apache-2.0
"""Our classes where Cinder's own unit tests expect Cinder's: as the defaults of its options.

Its tests make the volume manager and the volume API of what cinder.conf would name.
"""

from cinder.common import config
from cinder import objects
from oslo_config import cfg

STANDARD = 'cinder.api.contrib.standard_extensions'


def name_ours() -> None:
    """Make our classes the defaults."""
    objects.register_all()
    cfg.set_defaults(
        config.global_opts,
        volume_manager='multistore_hooks.cinder.manager.VolumeManager',
        volume_api_class='multistore_hooks.cinder.api.API',
        osapi_volume_extension=[STANDARD, 'multistore_hooks.cinder.extra_specs.StoreValidation'])
