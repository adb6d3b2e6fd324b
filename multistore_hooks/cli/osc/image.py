# SPDX-License-Identifier: Apache-2.0
"""``openstack multistore image stores|copy|misplaced``: as ``multistore-hooks image``."""

import argparse
from typing import cast

from multistore_hooks.cli import image
from multistore_hooks.cli import session


class InOpenstackclient(image.GlanceCommand):
    """The credentials are openstackclient's."""

    #: It authenticates before the command runs.
    auth_required = True

    def add_cloud_options(self, parser: argparse.ArgumentParser) -> None:
        """Add nothing: openstackclient has these options itself."""

    def connect(self, arguments: argparse.Namespace) -> session.Connection:
        """Return the connection to Glance."""
        return cast(session.Connection, self.app.client_manager.multistore)


class Stores(InOpenstackclient, image.Stores):
    __doc__ = image.Stores.__doc__


class Copy(InOpenstackclient, image.Copy):
    __doc__ = image.Copy.__doc__


class Misplaced(InOpenstackclient, image.Misplaced):
    __doc__ = image.Misplaced.__doc__
