# SPDX-License-Identifier: Apache-2.0
"""The table at the end of ``make test``, from what tox writes with --result-json.

The last line is "N passed, N failed, N skipped": the tests of all runs, and one failure for each environment
that failed for another reason (lint, a build, a run that found no test). Exit code 0 when nothing failed.
"""

import json
import os
import re
import sys
import typing

# What stestr prints at the end, and what a run of ours does.
STESTR = re.compile(r'^ - (Passed|Skipped|Expected Fail|Unexpected Success|Failed): (\d+)\r?$', re.MULTILINE)
OURS = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped\r?$', re.MULTILINE)


class Line(typing.NamedTuple):
    """One environment of tox: 'ok', 'FAILED' or 'SKIPPED', and the tests it ran."""

    name: str
    state: str
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def count(output: str) -> typing.Tuple[int, int, int]:
    """Return how many tests passed, failed and were skipped, as the output of a command says."""
    said = dict.fromkeys(('Passed', 'Skipped', 'Expected Fail', 'Unexpected Success', 'Failed'), 0)
    for what, number in STESTR.findall(output):
        said[what] += int(number)
    ours = [int(number) for number in (OURS.findall(output) or [(0, 0, 0)])[-1]]
    return (said['Passed'] + said['Expected Fail'] + ours[0],
            said['Failed'] + said['Unexpected Success'] + ours[1], said['Skipped'] + ours[2])


def line(name: str, found: typing.Mapping[str, typing.Any]) -> Line:
    """Return the line of an environment; a failure without a failed test counts as one."""
    result = found['result']
    output = ''.join(command['output'] for command in found.get('test', []))
    passed, failed, skipped = count(output)
    if result.get('skipped'):
        return Line(name, 'SKIPPED', result['duration'])
    # A run of which nothing was run proves nothing.
    empty = bool(STESTR.search(output)) and not passed and not failed
    if result['success'] and not failed and not empty:
        return Line(name, 'ok', result['duration'], passed, failed, skipped)
    return Line(name, 'FAILED', result['duration'], passed, failed or 1, skipped)


def summary(results: typing.Mapping[str, typing.Any]) -> typing.Tuple[typing.List[str], bool]:
    """Return the lines to print, and whether something failed."""
    lines = [line(name, found) for name, found in results['testenvs'].items() if 'result' in found]
    text = ['%-14s %-8s %6.0f s %6d passed %4d failed %4d skipped' % one for one in lines]
    passed, failed, skipped = (sum(one[column] for one in lines) for column in (3, 4, 5))
    # Without a line tox itself has failed.
    failed += not lines
    return text + ['%d passed, %d failed, %d skipped' % (passed, failed, skipped)], failed > 0


def main(path: str) -> int:
    """Print the summary of a file; return the exit code."""
    results: typing.Dict[str, typing.Any] = {'testenvs': {}}
    if os.path.exists(path):
        with open(path, encoding='utf-8') as stream:
            results = json.load(stream)
    text, failed = summary(results)
    print('\n'.join(text))
    return int(failed)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
