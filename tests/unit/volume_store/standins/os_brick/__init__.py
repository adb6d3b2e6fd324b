# SPDX-License-Identifier: Apache-2.0
"""Stands for os_brick: what its connectors are asked for is in the list CALLS."""

#: (name, arguments) of each call.
CALLS = []


def setup(conf):
    """Take the configuration, as since 6.2."""
    CALLS.append(('setup', conf))
