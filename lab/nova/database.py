# SPDX-License-Identifier: Apache-2.0
"""Nova's database of the lab: SQLite files, made fit for two threads."""

import typing
import uuid

from nova import conf
from nova import context
from nova import objects
from sqlalchemy.engine import Engine
from sqlalchemy import event

from lab.nova import releases

CELL = str(uuid.uuid4())


def create() -> None:
    """Create Nova's tables in the databases that the configuration names."""
    event.listen(Engine, 'before_cursor_execute', _begin_as_writer, retval=True)
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


def _begin_as_writer(_connection: typing.Any, _cursor: typing.Any, statement: str,
                     parameters: typing.Any, _context: typing.Any, _many: bool
                     ) -> typing.Tuple[str, typing.Any]:
    """Take the write lock when a transaction begins, so that the second one waits.

    SQLite refuses at once, whatever its timeout, a transaction that has read and then wants to
    write while another one writes: "database is locked".
    """
    if statement == 'BEGIN':
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters
