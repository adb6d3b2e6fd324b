# SPDX-License-Identifier: Apache-2.0
"""Text on a terminal: names that users chose are shown without what a terminal would obey, in cells."""

import io
import os
import sys
from typing import Any
import unicodedata

import wcwidth

#: Unicode's categories of letters that a terminal obeys, or that break a line.
_OBEYED = ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')
#: The end of a text that was cut.
ELLIPSIS = '...'


class Name(str):
    """A name that a user chose: as it is to a program (JSON), escaped where a person may read it."""

    def __str__(self) -> str:
        return escaped(str.__str__(self))


def escaped(text: str) -> str:
    r"""Return a text with each control character as ``\xNN`` or ``\uNNNN``: no name moves a cursor.

    Formatting characters that reorder what stands around them are such, too.
    """
    return ''.join(_escape(letter) if unicodedata.category(letter) in _OBEYED else letter for letter in text)


def _escape(letter: str) -> str:
    number = ord(letter)
    return ('\\x%02x' if number < 0x100 else '\\u%04x' if number < 0x10000 else '\\U%08x') % number


def cells(text: str) -> int:
    """Return how many cells of a terminal a text without control characters takes."""
    return sum(max(wcwidth.wcwidth(letter), 0) for letter in text)


def cut(text: str, room: int) -> str:
    """Return a text in at most so many cells; one that was cut ends in dots."""
    if cells(text) <= room:
        return text
    end = ELLIPSIS[:max(room, 0)]
    left, kept = room - len(end), ''
    for letter in text:
        left -= max(wcwidth.wcwidth(letter), 0)
        if left < 0:
            break
        kept += letter
    return kept + end


def padded(text: str, room: int) -> str:
    """Return a text with spaces up to so many cells."""
    return text + ' ' * (room - cells(text))


def argument(given: str) -> str:
    """Return an argument of the command line as the UTF-8 that a terminal sends, whatever the locale says.

    What is no UTF-8 is escaped: a request with it could not be sent.
    """
    try:
        return os.fsencode(given).decode('utf-8', 'backslashreplace')
    except UnicodeEncodeError:  # it was no argument of a process
        return given


def show_everything() -> None:
    """Let standard output and error escape what their encoding cannot show, rather than fail on it."""
    for name in ('stdout', 'stderr'):
        stream: Any = getattr(sys, name)
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
        elif isinstance(stream, io.TextIOWrapper):  # Python 3.6
            setattr(sys, name, io.TextIOWrapper(stream.detach(), encoding=stream.encoding,
                                                errors='backslashreplace', line_buffering=True))
