# SPDX-License-Identifier: Apache-2.0
"""What the hosts of a site share through their own Ceph cluster. rados and rbd are handed in."""
