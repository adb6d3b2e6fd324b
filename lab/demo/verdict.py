# SPDX-License-Identifier: Apache-2.0
"""Is what happened what was meant? Decisions without any input or output."""

import typing

from lab.demo import cases

OK, DEFECT, WRONG = 'ok', 'defect', 'WRONG'


class Found(typing.NamedTuple):
    """What became of an upload, as the service, Glance and the disk show."""

    error: typing.Optional[str]     # the service's; None: it reports success
    status: typing.Optional[str]    # the image's; None: Glance has no such image
    size: typing.Optional[int]      # as Glance says, in bytes
    in_glance: cases.Stores         # the stores, as Glance says
    on_disk: cases.Stores           # the stores whose folder has a file of the image
    data: str                       # of all files: cases.SAME, DAMAGED, or NONE: no file
    uploads: int                    # PUT requests that Glance got
    records: int                    # images of the upload's name
    log: typing.Tuple[str, ...]     # what the service logged


class Row(typing.NamedTuple):
    """A case and what became of it."""

    case: cases.Case
    found: Found


def judge(case: cases.Case, found: Found) -> str:
    """Return OK, WRONG, or DEFECT: the stock service did what it is known to do wrong."""
    if _is_right(case, found):
        return OK
    return DEFECT if _is_known(case, found) else WRONG


def _is_right(case: cases.Case, found: Found) -> bool:
    if case.meant == cases.NOWHERE:
        return _is_refused(found) and found.uploads == 0
    return (found.error is None and found.status == 'active' and found.data == cases.SAME
            and set(case.meant) == set(found.in_glance) == set(found.on_disk)
            and (bool(warnings(found)) or not case.warns))


def _is_refused(found: Found) -> bool:
    """Is there one clear error, and nothing left behind?"""
    return (found.error is not None and cases.MISSING in found.error
            and '\n' not in found.error and found.data == cases.NONE
            and (found.records, found.status) == (0, None)
            and found.in_glance == found.on_disk == cases.NOWHERE)


def _is_known(case: cases.Case, found: Found) -> bool:
    if case.by.hooks or case.defect is None:
        return False
    if case.meant == cases.NOWHERE:
        return _is_refused(found)       # but not before something was sent
    return (found.error is None and found.status == 'active' and found.data == case.defect.data
            and set(case.defect.stores) == set(found.in_glance) == set(found.on_disk))


def warnings(found: Found) -> typing.List[str]:
    """Return the warnings that the hooks logged."""
    return [line for line in found.log if line.startswith('WARNING multistore_hooks')]


def exit_code(rows: typing.Iterable[Row]) -> int:
    """Return 1 when a row is not where it was meant to be; known defects of stock do not count."""
    return int(any(judge(*row) == WRONG for row in rows))
