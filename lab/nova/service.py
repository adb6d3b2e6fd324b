# SPDX-License-Identifier: Apache-2.0
"""A compute host in this process: Nova's manager, started as nova-compute starts it.

Import this after ``releases.enter_service``, and before anything else of Nova: the stand-in for
libvirt must be there when Nova's driver asks for it.
"""

import sys
import typing

import libvirt                          # noqa: F401  the stand-in
from nova.compute import manager
from nova import config
import nova.context
from nova import objects
from nova import version
from oslo_log import log as logging

from lab.nova import database
from lab.nova import operations
from lab.nova import placement
from lab.nova import records
from lab.nova import releases
from lab.nova import servers
from lab.nova import settings

TOKEN = 'user:project:member,reader'


class Compute:
    """Nova's ComputeManager, the database behind it, and what it says."""

    def __init__(self, document: settings.Document) -> None:
        """Start the service as its own main() does, short of listening to a queue."""
        self._document = document
        more = settings.write_placement(document, placement.start())
        config.parse_args(sys.argv + ['--config-file', more])
        logging.setup(config.CONF, 'nova')
        self.records = records.keep()
        self.version = version.version_string()
        objects.register_all()
        database.create()
        self._manager = self._start()

    def _start(self) -> manager.ComputeManager:
        try:
            return manager.ComputeManager()
        except SystemExit:              # Nova's way: it has logged why
            raise RuntimeError('nova-compute exits: %s' % ' / '.join(self.records.take()))

    def operate(self, wanted: typing.Dict[str, typing.Any]) -> typing.Dict[str, typing.Any]:
        """Boot a server, run one operation of the document on it, and return its result."""
        operation = operations.BY_NAME[wanted['operation']]
        context = self._context()
        instance = servers.boot(context, self._manager, releases.image_api(), wanted)
        image_id, seconds, error = operation(
            context, self._manager, instance, wanted.get('name', 'lab-image'))
        servers.remove(instance)
        return {
            'operation': wanted['operation'], 'image_id': image_id,
            'error': operations.describe(error) if error else None,
            'seconds': round(seconds, 4), 'log': self.records.take(),
        }

    def _context(self) -> nova.context.RequestContext:
        """A request of the token's user, as it came to nova-api."""
        token = self._document.get('token', TOKEN)
        url = self._document['glance_url']
        user, project, roles = token.split(':')
        return nova.context.RequestContext(
            user_id=user, project_id=project, roles=roles.split(','), auth_token=token,
            service_catalog=[{'type': 'image', 'name': 'glance', 'endpoints': [
                {'region': 'lab', 'publicURL': url, 'internalURL': url}]}])
