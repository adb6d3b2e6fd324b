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
    #: File, section and option, or the address that was asked; empty where there is no one place.
    where: str = ''
    #: What the operator is to change; empty where there is nothing to change.
    change: str = ''

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


def note(what: str, where: str = '') -> Finding:
    """Return what is as it should be, or was not looked at."""
    return Finding(Code.SUCCESS, what, where)


def not_told(why: str, where: str = '', change: str = '') -> Finding:
    """Return that a question has no answer here, which is no failure and no success."""
    return warning('cannot be told: ' + why, where, change)


def result(findings: Iterable[Finding]) -> upgradecheck.Result:
    """Return findings as oslo.upgradecheck's Result: the worst code, a line for each, the worst first."""
    found = sorted(findings, key=lambda finding: -finding.code)
    code = max((finding.code for finding in found), default=Code.SUCCESS)
    return upgradecheck.Result(code, '\n'.join(str(finding) for finding in found) or None)
