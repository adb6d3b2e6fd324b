# SPDX-License-Identifier: Apache-2.0
"""The page of waits and limits has every number of seconds in the package, apart from short pauses."""

import ast
import glob
import os
import re

import testtools

import multistore_hooks
from tests import documentation

PACKAGE = os.path.dirname(os.path.abspath(multistore_hooks.__file__))
#: Pauses between two polls that are shorter need not be there.
SHORTEST = 2
UNITS = (('s', 1), ('seconds', 1), ('minutes', 60), ('hours', 3600))


def _number(node):
    """Return the number that an expression is, such as 24 * 3600; None if it is none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        factors = _number(node.left), _number(node.right)
        return None if None in factors else factors[0] * factors[1]
    value = getattr(node, 'value', getattr(node, 'n', None))     # ast.Num of Python 3.6
    return value if isinstance(value, (int, float)) else None


def seconds_of(source):
    """Return {name: number} of a module's constants that the comment above them calls seconds."""
    found = {}
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign):
            continue
        first = node.lineno - 1
        while lines[first - 1].startswith('#'):
            first -= 1
        if 'econds' in ' '.join(lines[first:node.lineno - 1]):
            names, values = (getattr(one, 'elts', [one]) for one in (node.targets[0], node.value))
            found.update({name.id: _number(value) for name, value in zip(names, values)
                          if _number(value) is not None})
    return found


def spellings(number):
    """Return the ways in which a page writes a number of seconds."""
    return ['%g %s' % (number / size, unit) for unit, size in UNITS if number % size == 0 or size == 1]


def absent(text, source):
    """Return the constants of a module whose seconds a text does not have."""
    return ['%s = %s' % (name, number) for name, number in sorted(seconds_of(source).items())
            if number >= SHORTEST
            and not any(re.search(r'(?<![0-9.])%s\b' % re.escape(one), text) for one in spellings(number))]


class WaitsTest(testtools.TestCase):

    def test_every_number_of_seconds_is_on_a_page(self):
        of_volumes = documentation.read('doc/source/volume_store.rst').partition('_volume-store-waits:')[2]
        table = of_volumes.partition('=====\n')[2].partition('=====\n')[0]
        text = ' '.join((documentation.read('doc/source/waits.rst') + table).split())
        missing = []
        for path in glob.glob(os.path.join(PACKAGE, '**', '*.py'), recursive=True):
            with open(path, encoding='utf-8') as stream:
                missing += ['%s: %s' % (os.path.relpath(path, PACKAGE), one)
                            for one in absent(text, stream.read())]
        self.assertEqual([], sorted(missing))

    def test_a_number_that_no_page_has_is_seen(self):
        source = ('#: Seconds of a wait, and between two polls.\nWAIT, POLL = 7 * 60, 0.5\n'
                  '#: How many times.\nTRIES = 9\n')
        self.assertEqual({'WAIT': 420, 'POLL': 0.5}, seconds_of(source))
        self.assertEqual(['WAIT = 420'], absent('17 minutes; 1420 s', source))
        for text in ('420 s', 'at most 420 seconds', '7 minutes'):
            self.assertEqual([], absent(text, source))
