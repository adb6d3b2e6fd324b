# SPDX-License-Identifier: Apache-2.0
"""What ``multistore-status upgrade check`` checks; nothing here changes anything.

Each module holds checks: functions from ``gather.Facts`` to a list of findings. What they judge is read in
``status/facts/``.
"""
