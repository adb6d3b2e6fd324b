# SPDX-License-Identifier: Apache-2.0
"""One image into one store: what to do next, who asks, and the wait for it."""
