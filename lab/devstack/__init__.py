# SPDX-License-Identifier: Apache-2.0
"""``make devstack``: a real devstack on one machine, with this project's plugin in it.

``stack.sh`` itself is run as it is, in a tree of Debian with a systemd of its own, in namespaces: nothing of
the host is changed. Two things are stand-ins, by a small devstack plugin (``stand_ins``): Neutron, and a
backend of Cinder, as no kernel module of the host is used.
"""
