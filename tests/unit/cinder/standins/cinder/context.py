# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.context."""


class RequestContext:
    is_admin = True
    project_id, roles = None, ['admin']


def get_admin_context():
    return RequestContext()
