# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the lab itself."""


class LabError(Exception):
    """The lab did not start, or a volume did not become what was waited for."""
