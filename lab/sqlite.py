# SPDX-License-Identifier: Apache-2.0
"""SQLite, made fit for services of many threads."""

import typing

from sqlalchemy.engine import Engine
from sqlalchemy import event


def lock_at_begin() -> None:
    """Let each transaction take the write lock when it begins, so that the second one waits.

    SQLite refuses at once, whatever its timeout, a transaction that has read and then wants to write while
    another one writes: "database is locked". Call it before the service makes its engine.
    """
    event.listen(Engine, 'before_cursor_execute', _begin_as_writer, retval=True)


def _begin_as_writer(connection: typing.Any, _cursor: typing.Any, statement: str, parameters: typing.Any,
                     _context: typing.Any, _many: bool) -> typing.Tuple[str, typing.Any]:
    if statement == 'BEGIN' and connection.dialect.name == 'sqlite':
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters
