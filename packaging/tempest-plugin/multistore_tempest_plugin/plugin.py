# SPDX-License-Identifier: Apache-2.0
"""The entry point ``tempest.test_plugins``."""

import os

from tempest.test_discover import plugins

from multistore_tempest_plugin import config


class MultistorePlugin(plugins.TempestPlugin):
    """Names to tempest where the tests are, and which options they have."""

    def load_tests(self):
        """Return the folder of the tests, and the one that their package is in."""
        here = os.path.dirname(os.path.abspath(__file__))
        return os.path.join(here, 'tests'), os.path.dirname(here)

    def register_opts(self, conf):
        """Register the options in tempest's configuration."""
        for group, options in self.get_opt_lists():
            conf.register_group(_GROUPS[group])
            conf.register_opts(options, group=group)

    def get_opt_lists(self):
        """Return the options, for tempest's sample configuration."""
        return [(config.group.name, config.OPTIONS),
                (config.feature_group.name, config.FEATURES)]


_GROUPS = {group.name: group for group in (config.group, config.feature_group)}
