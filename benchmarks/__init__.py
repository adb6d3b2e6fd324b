# SPDX-License-Identifier: Apache-2.0
"""Stock code beside ours, in one run: ``python -m benchmarks [NAME]``. No timing decides a test."""

import os

# What is measured here are processes as they are started anywhere, see lab.forks.
os.environ['LAB_FORKS'] = '0'
