# SPDX-License-Identifier: Apache-2.0
"""The lab's driver with the mixin before it, as an operator would write it for one backend."""
from lab.cinder import driver
from multistore_hooks.cinder.driver import PlacesUploads


class PlacingDriver(PlacesUploads, driver.DirectoryDriver):
    """Volumes are files in a directory; their uploads are placed."""
