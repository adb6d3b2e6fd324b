# SPDX-License-Identifier: Apache-2.0
"""``make demo``: the real Nova and Cinder upload to a real Glance, and a table says where to.

``cases`` says what is uploaded and what has to come of it, ``services`` brings up what that needs,
``uploads`` does it, ``verdict`` judges, ``table`` shows. Nothing outlives a run but a cached
database.
"""
