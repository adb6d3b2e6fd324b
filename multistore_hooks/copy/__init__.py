# SPDX-License-Identifier: Apache-2.0
"""One image into one store: what to do next, which host requests it, and the wait for it."""
