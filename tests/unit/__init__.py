# SPDX-License-Identifier: Apache-2.0
"""The unit tests. What hypothesis tries is the same in each run, and however long it takes."""

try:
    import hypothesis
except ImportError:                     # where a release is tested, which runs none of these
    pass
else:
    hypothesis.settings.register_profile('same', derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile('same')
