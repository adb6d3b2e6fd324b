# SPDX-License-Identifier: Apache-2.0
"""Stands for os_brick.privileged, which registers the options of its helper when it is imported."""

from oslo_config import cfg

cfg.CONF.register_opts([cfg.StrOpt('helper_command')], group='privsep_osbrick')
