# SPDX-License-Identifier: Apache-2.0
"""Faults of a patch that an operator can fix.

Each message is one line that names the file, the option or the directory.
"""


class PatchError(Exception):
    """Base of all refusals. The command line turns one into exit code 2."""

    reason = 'refused'
    """One word for a program, in the JSON output."""


class BadInput(PatchError):
    """The command line names what does not exist: project, series, root."""

    reason = 'bad-input'


class NotNeeded(PatchError):
    """No series was named, and the project needs none. There is nothing to do, and nothing is wrong."""

    reason = 'not-needed'


class UnknownRelease(PatchError):
    """The release was not found out, or no patch is known to be right for it."""

    reason = 'unknown-release'


class BadPatch(PatchError):
    """A patch or a series file is not in the strict form that is understood."""

    reason = 'bad-patch'


class Drift(PatchError):
    """The files in the tree are neither as the patch expects nor as it leaves them."""

    reason = 'drift'


class UnsafePath(PatchError):
    """A path leads through a symbolic link, or to something that is no file."""

    reason = 'unsafe-path'


class BadRecord(PatchError):
    """The tool's own records in the tree are damaged."""

    reason = 'damaged-record'


class Busy(PatchError):
    """Another run is at work in the same tree."""

    reason = 'busy'


class CannotWrite(PatchError):
    """The operating system refused to read or to write."""

    reason = 'io-error'
