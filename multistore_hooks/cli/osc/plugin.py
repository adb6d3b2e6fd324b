# SPDX-License-Identifier: Apache-2.0
"""What openstackclient needs of a plugin: a name, a version, and a client.

It finds this module by the entry point ``openstack.cli.extension`` (the name after the colon there is not
not used), and the commands by ``openstack.multistore.v1``. What it calls API version is the commands'.
"""

import argparse
from typing import Any

API_NAME = 'multistore'
API_VERSION_OPTION = 'os_multistore_api_version'
API_VERSIONS = {'1': 'multistore_hooks.cli.osc.plugin'}
DEFAULT_API_VERSION = '1'


def make_client(instance: Any) -> Any:
    """Return the Connection to Glance for openstackclient's ClientManager, which has the credentials."""
    # Late: openstackclient imports every plugin for every command.
    from multistore_hooks.cli import session
    return session.connection_of(instance.sdk_connection.config)


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return openstackclient's parser of global options; none is added."""
    return parser
