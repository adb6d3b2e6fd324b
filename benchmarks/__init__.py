# SPDX-License-Identifier: Apache-2.0
"""Stock code beside ours, in one run: ``python -m benchmarks [NAME]``. No timing decides a test."""
