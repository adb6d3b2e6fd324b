# SPDX-License-Identifier: Apache-2.0
"""Run tests one after the other and note what became of each.

    python -m tests.releases.runner RESULTS MODULE ...

RESULTS gets a line ``status<TAB>test id`` for each test, sorted. Standard output ends in a line
``N passed, N failed, N skipped``. Exit code 1 when a test failed, 2 when a module cannot be imported.
"""

import importlib
import sys
import typing
import unittest

FAILED = ('FAIL', 'ERROR', 'unexpected success')


class Result(unittest.TextTestResult):
    """Notes the status of each test."""

    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.statuses: typing.Dict[str, str] = {}

    # testtools hands over details by name, unittest an error by position.

    def addSuccess(self, test: typing.Any, *_args: typing.Any, **_details: typing.Any) -> None:
        self.statuses.setdefault(test.id(), 'ok')
        super().addSuccess(test)

    def addFailure(self, test: typing.Any, err: typing.Any = None, **details: typing.Any) -> None:
        self.statuses[test.id()] = 'FAIL'
        super().addFailure(test, err or _error_of(details))

    def addError(self, test: typing.Any, err: typing.Any = None, **details: typing.Any) -> None:
        self.statuses[test.id()] = 'ERROR'
        super().addError(test, err or _error_of(details))

    def addSkip(self, test: typing.Any, reason: typing.Any = None, **_details: typing.Any) -> None:
        self.statuses[test.id()] = 'skip'
        super().addSkip(test, reason or '')

    def addExpectedFailure(self, test: typing.Any, err: typing.Any = None, **details: typing.Any) -> None:
        self.statuses[test.id()] = 'expected failure'
        super().addExpectedFailure(test, err or _error_of(details))

    def addUnexpectedSuccess(self, test: typing.Any, **_details: typing.Any) -> None:
        self.statuses[test.id()] = 'unexpected success'
        super().addUnexpectedSuccess(test)

    def addSubTest(self, test: typing.Any, subtest: typing.Any, err: typing.Any) -> None:
        if err is not None:
            self.statuses[test.id()] = 'FAIL'
        super().addSubTest(test, subtest, err)


def _error_of(details: typing.Mapping[str, typing.Any]) -> typing.Any:
    text = '\n'.join(detail.as_text() for detail in details.get('details', {}).values())
    return AssertionError, AssertionError(text), None


def flat(suite: typing.Any) -> typing.Iterator[typing.Any]:
    """Yield the tests of a suite of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def run(suite: unittest.TestSuite, results: str) -> int:
    """Run the tests, write their statuses, print the counts, return the exit code."""
    done = unittest.TextTestRunner(resultclass=Result, verbosity=0, stream=sys.stderr).run(suite)
    statuses = typing.cast(Result, done).statuses
    with open(results, 'w', encoding='utf-8') as stream:
        stream.writelines('%s\t%s\n' % (statuses[name], name) for name in sorted(statuses))
    failed = sum(status in FAILED for status in statuses.values())
    skipped = sum(status == 'skip' for status in statuses.values())
    print('%d passed, %d failed, %d skipped' % (len(statuses) - failed - skipped, failed, skipped))
    return 1 if failed or not statuses else 0


def main(arguments: typing.List[str]) -> int:
    results, modules = arguments[0], arguments[1:]
    try:
        suites = [unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name))
                  for name in modules]
    except ImportError as error:
        print('%s: %s' % (type(error).__name__, error))
        return 2
    return run(unittest.TestSuite(suites), results)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
