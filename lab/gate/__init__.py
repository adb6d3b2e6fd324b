# SPDX-License-Identifier: Apache-2.0
"""``make gate``: a small real cloud with two sites on one machine, stock and with the hooks.

All of it runs in namespaces of its own (processes, network, mounts): it uses no port of the
machine, writes nothing outside its folder, and when its first process ends, the kernel ends all the
others. Read ``scenarios.py`` for what is tried, and ``cloud.py`` for what it is tried on.
"""
