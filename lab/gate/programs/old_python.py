# SPDX-License-Identifier: Apache-2.0
"""What every Python of an old release's environment runs when it starts: see packages.py.

Services and libraries of 2019 and 2020 count on things that Python no longer does. Their own code
stays as it is.
"""

import sys
import time
import types

# lab/compat.py, under another name: there is no checkout in the environment.
import gate_compat


def same_clock() -> None:
    """Have eventlet find the very functions of ``time`` when it imports that a second time.

    Since Python 3.10 they would be others: Nova compares its event loop's clock with the one that
    it knows, and does not start.
    """
    again = types.ModuleType('time')
    again.__dict__.update(vars(time))
    sys.modules['__original_module_time'] = again


gate_compat.restore_removed_names()
same_clock()
