# SPDX-License-Identifier: Apache-2.0
"""``python -m lab.glance_manage CONFIG-DIR``: make Glance's database, as glance-manage db_sync does.

Not glance-manage itself: of old releases it names two commands alike, which newer Pythons refuse.
"""

import sys

from lab import compat


def main() -> None:
    compat.restore_removed_names()
    from glance.cmd import manage
    from glance.common import config
    from oslo_log import log
    log.register_options(manage.CONF)
    config.parse_args(args=['--config-dir', sys.argv[1]], default_config_files=[])
    log.setup(manage.CONF, 'glance')
    manage.DbCommands().sync()


if __name__ == '__main__':
    main()
