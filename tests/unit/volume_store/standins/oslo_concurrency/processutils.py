# SPDX-License-Identifier: Apache-2.0
"""Stands for oslo_concurrency.processutils."""

#: (command, options) of each call.
CALLS = []


def execute(*command, **options):
    CALLS.append((command, options))
    return '', ''
