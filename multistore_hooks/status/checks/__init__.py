# SPDX-License-Identifier: Apache-2.0
"""What ``multistore-status upgrade check`` looks at; nothing here changes anything.

``reading`` reads the services' configuration files, ``cloud`` asks Glance, ``machine`` looks at this
host. Every other module holds checks: functions from ``facts.Facts`` to a list of findings.
"""
