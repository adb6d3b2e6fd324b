# SPDX-License-Identifier: Apache-2.0
"""Stands for os_brick.initiator.connector."""

import os_brick


def get_connector_properties(root_helper, my_ip, multipath, enforce_multipath, host=None):
    os_brick.CALLS.append(('properties', root_helper, my_ip, multipath, enforce_multipath, host))
    return {'host': host, 'ip': my_ip, 'initiator': 'iqn.test'}


class InitiatorConnector:

    @staticmethod
    def factory(protocol, root_helper, **kwargs):
        os_brick.CALLS.append(('factory', protocol, root_helper, kwargs))
        return Connector()


class Connector:

    def connect_volume(self, connection):
        os_brick.CALLS.append(('connect', connection))
        return {'path': '/dev/sdx', 'type': 'block'}

    def disconnect_volume(self, connection, device_info, force=False, ignore_errors=False):
        os_brick.CALLS.append(('disconnect', connection, device_info, force, ignore_errors))

    def extend_volume(self, connection):
        os_brick.CALLS.append(('extend', connection))
