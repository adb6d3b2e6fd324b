# SPDX-License-Identifier: Apache-2.0
"""Reads the literal blocks of README and documentation, and how each is tested.

Before every literal block stands a comment, which a reader does not see, that says what a test does
with it:

``.. runs: LAB``
    The commands are run, in their order on the page; see tests/functional/test_documentation.py
    for the labs. Lines of a block after a command with ``$`` are what it prints, and ``...`` in
    them is anything.
``.. reads: FILE``
    It is a piece of that configuration file, which the service's own definitions accept.
``.. logged:``
    Log lines that the code can write; one may go on in an indented line.
``.. drawn: WHY``
    A drawing, or text that is nothing to run.
``.. not run: WHY``
    Commands that cannot be run here.
"""

import glob
import os
import re
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Written by a program, which has its own tests.
GENERATED = ('doc/source/releases.rst',)
VERBS = ('runs', 'reads', 'logged', 'drawn', 'not run')

_MARK = re.compile(r'\.\. (%s):(?: (.*))?$' % '|'.join(VERBS))
_CODE = re.compile(r'( *)\.\. (?:code-block|code|sourcecode|parsed-literal)::(?: *(\S+))?$')
_DIRECTIVE = re.compile(r' *\.\. [a-z:_-]+::')


class Mark(NamedTuple):
    """What a comment says of the block after it."""

    verb: str
    what: str


class Block(NamedTuple):
    """One literal block."""

    page: str
    #: Of its first line, from 1.
    line: int
    mark: Optional[Mark]
    text: str

    @property
    def place(self) -> str:
        """Where it is, for a message."""
        return '%s:%d' % (self.page, self.line)


class Command(NamedTuple):
    """A command line, and what it prints: None where the page does not say."""

    line: str
    prints: Optional[str]


def pages() -> List[str]:
    """Return README, the pages of the documentation and what they include, from the checkout's root."""
    found = ['README.rst', 'CONTRIBUTING.rst', 'HACKING.rst', 'devstack/README.rst', 'patches/README.rst']
    found += [os.path.relpath(path, ROOT) for path in
              glob.glob(os.path.join(ROOT, 'doc', 'source', '**', '*.rst'), recursive=True)]
    return sorted(page for page in found if page not in GENERATED)


def read(page: str) -> str:
    """Return a page's text."""
    with open(os.path.join(ROOT, page), encoding='utf-8') as stream:
        return stream.read()


def all_blocks() -> List[Block]:
    """Return the literal blocks of all pages."""
    return [block for page in pages() for block in blocks(page, read(page))]


def blocks(page: str, text: str) -> Iterator[Block]:
    """Yield the literal blocks of a text, in their order."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        indent = len(line) - len(line.lstrip())
        if not _starts_a_block(line):
            number += 1
            continue
        begin, end = _extent(lines, number, indent)
        if begin == end:
            number += 1
            continue
        width = min(len(one) - len(one.lstrip()) for one in lines[begin:end] if one.strip())
        yield Block(page, begin + 1, _mark_before(lines, number),
                    '\n'.join(one[width:].rstrip() for one in lines[begin:end]).rstrip() + '\n')
        number = end


def _starts_a_block(line: str) -> bool:
    if _CODE.match(line):
        return True
    return line.rstrip().endswith('::') and not _DIRECTIVE.match(line)


def _extent(lines: List[str], start: int, indent: int) -> Tuple[int, int]:
    """Return the first line of a block's text, and the one after its last."""
    number = start + 1
    while number < len(lines) and re.match(r' +:[a-z-]+:', lines[number]):
        number += 1     # options of the directive
    while number < len(lines) and not lines[number].strip():
        number += 1
    begin = end = number
    while number < len(lines):
        line = lines[number]
        if line.strip():
            if len(line) - len(line.lstrip()) <= indent:
                break
            end = number + 1
        number += 1
    return begin, end


def _mark_before(lines: List[str], start: int) -> Optional[Mark]:
    """Return the mark before the block, or before the paragraph that announces it."""
    number = start
    if not _CODE.match(lines[start]):
        while number > 0 and lines[number - 1].strip():
            number -= 1     # to the paragraph's first line
        if _MARK.match(lines[number].strip()):
            number = start  # a comment directly above a lone '::'
    while number > 0 and not lines[number - 1].strip():
        number -= 1
    comment: List[str] = []
    while number > 0 and lines[number - 1].strip():
        number -= 1
        comment.insert(0, lines[number].strip())
        if comment[0].startswith('.. '):
            break
    found = _MARK.match(comment[0]) if comment else None
    if not found:
        return None
    return Mark(found.group(1), ' '.join([found.group(2) or ''] + comment[1:]).strip())


def commands(text: str) -> List[Command]:
    """Take a block of commands apart.

    With prompts (``$``), what follows a command is what it prints; without, each line is a command.
    A line that ends with a backslash goes on in the next.
    """
    lines = text.replace('\\\n', '\\\0').splitlines()
    lines = [line.replace('\\\0', '\\\n') for line in lines]
    if not any(line.startswith('$ ') for line in lines):
        return [Command(line, None) for line in lines if line.strip() and not line.startswith('#')]
    found: List[Command] = []
    for line in lines:
        if line.startswith('$ '):
            found.append(Command(line[2:], None))
        elif found:
            last = found[-1]
            found[-1] = last._replace(prints=(last.prints or '') + line + '\n')
    return found


def matches(expected: str, printed: str) -> bool:
    """Return whether what was printed is what a page shows; ``...`` and ``…`` are anything."""
    pieces = re.split(r'\.\.\.|…', ' '.join(expected.split()))
    pattern = '.*'.join(re.escape(piece) for piece in pieces)
    return re.match(pattern + r'\Z', ' '.join(printed.split()), re.DOTALL) is not None


def by_page(found: List[Block]) -> Dict[str, List[Block]]:
    """Return the blocks of each page, in their order."""
    result: Dict[str, List[Block]] = {}
    for block in found:
        result.setdefault(block.page, []).append(block)
    return result
