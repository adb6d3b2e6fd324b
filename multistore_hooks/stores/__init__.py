# SPDX-License-Identifier: Apache-2.0
"""What should be in which store: rules, plans, eviction, drain, reconciliation. Plans are pure."""
