# SPDX-License-Identifier: Apache-2.0
"""A stand-in of Placement, in the process of the compute host.

Import it after eventlet has patched the standard library: a server of the unpatched one would stop
every green thread while it waits for a client.
"""

import os
import typing

from lab import http_server
from lab import ini

# As much of Placement as a compute manager requests when it is made.
VERSIONS = {'versions': [{'id': 'v1.0', 'status': 'CURRENT', 'min_version': '1.0',
                          'max_version': '1.39', 'links': [{'rel': 'self', 'href': ''}]}]}


class Placement(http_server.JsonServer):
    """Responds to every request with the version document."""

    def respond(self, *_request: typing.Any) -> http_server.Response:
        return 200, VERSIONS, {}


def start(state_dir: str) -> str:
    """Start it, and write a configuration file with its address; return the file's path."""
    return ini.write(os.path.join(os.path.abspath(state_dir), 'placement.conf'), {'placement': {
        'auth_type': 'none', 'endpoint_override': Placement().__enter__().url}})
