# SPDX-License-Identifier: Apache-2.0
"""Stands for os_brick.initiator."""
