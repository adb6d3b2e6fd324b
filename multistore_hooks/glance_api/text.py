# SPDX-License-Identifier: Apache-2.0
"""Text of others on its way into a log line, an error or a header."""

#: Characters of one error; a proxy's page may be long.
LONGEST = 1000


def one_line(text: str) -> str:
    """Return a text as one line of printable characters, the others escaped, in a bounded length.

    A line end would forge a line of a log, and an escape sequence reach the terminal that shows it.
    """
    line = ''.join(char if char.isprintable() else char.encode('unicode_escape').decode('ascii')
                   for char in ' '.join(text.split()))
    return line if len(line) <= LONGEST else line[:LONGEST - 3] + '...'


def is_header_value(text: str) -> bool:
    """Return whether a text reaches Glance unchanged as the value of a header."""
    return text == text.strip() and all(' ' <= char <= '~' or '\xa0' <= char <= '\xff' for char in text)
