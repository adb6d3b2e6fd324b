# SPDX-License-Identifier: Apache-2.0
"""Runs devstack's phases in a folder, and reads what comes out; the tests are in functional."""
