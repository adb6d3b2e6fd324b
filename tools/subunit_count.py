# SPDX-License-Identifier: Apache-2.0
"""Count the tests in a subunit stream on standard input: prints "passed failed skipped".

Runs in the environment whose tests it counts, so on Python 3.6 and the testtools of 2019 too.
"""

import sys

import subunit
import testtools

PASSED = ('success', 'xfail')
SKIPPED = ('skip',)
# A listing, not a run.
IGNORED = ('exists',)


def count(stream):
    """Return the numbers of tests that passed, did not, and were skipped.

    A test that began and never ended (its worker died, or it was killed) has failed.
    """
    totals = {'passed': 0, 'failed': 0, 'skipped': 0}

    def on_test(test):
        status = test['status']
        if status in PASSED:
            totals['passed'] += 1
        elif status in SKIPPED:
            totals['skipped'] += 1
        elif status not in IGNORED:
            totals['failed'] += 1

    result = testtools.StreamToDict(on_test)
    result.startTestRun()
    try:
        subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(result)
    finally:
        result.stopTestRun()
    return totals['passed'], totals['failed'], totals['skipped']


if __name__ == '__main__':
    print('%d %d %d' % count(sys.stdin.buffer))
