# SPDX-License-Identifier: Apache-2.0
"""Run all benchmarks, or those that are named, each in a process of its own.

The JSON files go to benchmarks/results/; ``python -m benchmarks.NAME --json FILE`` for another. The
page of the documentation is written from them.
"""

import os
import subprocess
import sys

from benchmarks import page

HERE = os.path.dirname(os.path.abspath(__file__))
HELPERS = ('__init__', '__main__', 'page', 'plots', 'report', 'targets')


def main():
    """Return 0 if all that was asked for has run."""
    known = sorted(name[:-3] for name in os.listdir(HERE) if name.endswith('.py')
                   and name[:-3] not in HELPERS and not name.startswith('_'))
    wanted = sys.argv[1:] or known
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit('no such benchmark: %s; there are: %s' % (', '.join(sorted(unknown)), ', '.join(known)))
    code = max(subprocess.call([sys.executable, '-W', 'ignore', '-m', 'benchmarks.' + name])
               for name in wanted)
    page.write()
    return code


sys.exit(main())
