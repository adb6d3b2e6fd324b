# SPDX-License-Identifier: Apache-2.0
"""os-brick's daemon of an old release on a newer Python: ``python -m lab.privsep_helper`` and its arguments.

The release's own ``privsep-helper`` imports libraries that want names which Python has taken away.
"""

import sys

from lab import compat

if __name__ == '__main__':
    compat.restore_removed_names()
    from oslo_privsep import daemon
    sys.exit(daemon.helper_main())
