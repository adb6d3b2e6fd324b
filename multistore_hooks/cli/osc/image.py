# SPDX-License-Identifier: Apache-2.0
"""``openstack multistore image stores|copy|misplaced``: as ``multistore-hooks image``."""

import argparse
from typing import cast

from multistore_hooks.cli import image
from multistore_hooks.cli import session


class _InOpenstackclient(image._ImageCommand):
    """The credentials are openstackclient's."""

    #: It shall authenticate before the command runs.
    auth_required = True

    def add_cloud_options(self, parser: argparse.ArgumentParser) -> None:
        """Add nothing: openstackclient has these options itself."""

    def connect(self, arguments: argparse.Namespace) -> session.Connection:
        """Return the way to Glance."""
        return cast(session.Connection, self.app.client_manager.multistore)


class Stores(_InOpenstackclient, image.Stores):
    """Show the stores that images are in, are being copied to, and were not copied to."""


class Copy(_InOpenstackclient, image.Copy):
    """Have Glance copy images to more stores.

    What is there already is left alone, and what is being copied is waited for: after an
    interruption, run the same command again.
    """


class Misplaced(_InOpenstackclient, image.Misplaced):
    """List the images that are not where their base image is, and copy them there.

    The base image of a snapshot is in its property base_image_ref, which Nova writes. Cinder writes
    no such property for an uploaded volume; an image that has it is judged, wherever it is from.
    """
