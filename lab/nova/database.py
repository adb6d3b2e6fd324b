# SPDX-License-Identifier: Apache-2.0
"""Nova's database of the lab: SQLite files, made fit for two threads."""

import typing
import uuid

from nova import conf
from nova import context
from nova import objects

from lab.nova import releases
from lab import sqlite

CELL = str(uuid.uuid4())


def create() -> None:
    """Create Nova's tables in the databases that the configuration names."""
    sqlite.lock_at_begin()
    releases.create_tables()
    objects.CellMapping(
        context.get_admin_context(), uuid=CELL, name='lab', disabled=False, transport_url='fake:/',
        database_connection=conf.CONF.database.connection).create()


def map_to_cell(instance: typing.Any) -> None:
    """Enter a server in the table by which nova-api finds its cell."""
    admin = context.get_admin_context()
    objects.InstanceMapping(
        admin, instance_uuid=instance.uuid, project_id=instance.project_id,
        cell_mapping=objects.CellMapping.get_by_uuid(admin, CELL)).create()
