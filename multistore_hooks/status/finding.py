# SPDX-License-Identifier: Apache-2.0
"""What a check says: how bad it is, what, where, and what to change."""

from typing import Iterable
from typing import List
from typing import NamedTuple

from oslo_upgradecheck import upgradecheck

Code = upgradecheck.Code  # an IntEnum; its values are the exit codes


class Finding(NamedTuple):
    """One thing that was found."""

    code: int
    what: str
    #: File, section and option, or the address of the request; empty where there is no one place.
    where: str = ''
    #: What the operator is to change; empty where there is nothing to change.
    change: str = ''
    #: Nothing was checked.
    skipped: bool = False

    def __str__(self) -> str:
        text = '%s: %s' % (self.where, self.what) if self.where else self.what
        return ' '.join(part.rstrip('.') + '.' for part in (text, self.change) if part)


Findings = List[Finding]


def failure(what: str, where: str = '', change: str = '') -> Finding:
    """Return a finding that breaks something."""
    return Finding(Code.FAILURE, what, where, change)


def warning(what: str, where: str = '', change: str = '') -> Finding:
    """Return a finding that is likely not what the operator wants."""
    return Finding(Code.WARNING, what, where, change)


def passed(what: str, where: str = '') -> Finding:
    """Return something that is as it should be."""
    return Finding(Code.SUCCESS, what, where)


def skipped(why: str) -> Finding:
    """Return that nothing was checked, which is no success: a file or credentials were not given."""
    return Finding(Code.SUCCESS, 'Skipped: ' + why, skipped=True)


def undetermined(what: str, where: str = '', change: str = '') -> Finding:
    """Return that something cannot be determined here, which is no failure and no success."""
    return warning('cannot determine ' + what, where, change)


class Result(upgradecheck.Result):  # type: ignore[misc]
    """oslo.upgradecheck's Result: the worst code, a line for each finding, the worst first."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        found = sorted(findings, key=lambda finding: -finding.code)
        super().__init__(max((finding.code for finding in found), default=Code.SUCCESS),
                         '\n'.join(str(finding) for finding in found) or None)
        #: Nothing was checked.
        self.skipped = bool(found) and all(finding.skipped for finding in found)
