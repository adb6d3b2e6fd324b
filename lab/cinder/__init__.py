# SPDX-License-Identifier: Apache-2.0
"""The lab for Cinder: its own upload code against a real Glance on loopback.

``python -m lab.cinder.volume`` runs uploads in one process (see there);
``lab.cinder.server.Cinder`` starts api, scheduler and volume service over HTTP.
Neither needs root, a broker, a database server or LVM.
"""
