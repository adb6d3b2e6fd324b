# SPDX-License-Identifier: Apache-2.0
"""Stands for oslo_concurrency."""
