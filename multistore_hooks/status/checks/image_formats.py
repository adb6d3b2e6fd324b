# SPDX-License-Identifier: Apache-2.0
"""Are there base images that can never be cloned, because they are not raw?"""

from typing import Any
from typing import List
from typing import Mapping

from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding

_SHOWN = 5


def check_raw(facts: gather.Facts) -> finding.Findings:
    """Are the images raw, where computes or volumes are on Ceph?"""
    if facts.nova is not None and facts.nova.get('libvirt', 'images_type') != 'rbd':
        return [finding.passed("the disks of this compute are not on RBD, so no image is cloned")]
    if facts.cloud is None:
        return [finding.skipped('Glance was not queried')]
    return decide_raw(facts.cloud.images(), facts.cloud.url)


def decide_raw(images: List[Mapping[str, Any]], url: str) -> finding.Findings:
    """Return a finding for the images that are not raw, in one."""
    disks = [image for image in images if image.get('status') == 'active'
             and image.get('container_format') not in ('docker', 'compressed', 'aki', 'ari')]
    others = [image for image in disks if image.get('disk_format') not in ('raw', 'aki', 'ari')]
    if not others:
        return [finding.passed('all of the %d images that can be seen are raw' % len(disks))]
    named = ['%s (%s, %s)' % (image.get('name') or 'without a name', image['id'],
                              image.get('disk_format')) for image in others[:_SHOWN]]
    more = len(others) - len(named)
    seen = 'the newest %d' % live_glance.MOST_IMAGES if len(
        images) >= live_glance.MOST_IMAGES else str(len(disks))
    return [finding.warning(
        '%d of %s images are not raw, and can never be cloned: each boot downloads and converts '
        'them: %s%s' % (len(others), seen, ', '.join(named), ' and %d more' % more if more else ''), url,
        'Convert them (qemu-img convert -O raw), and upload the result as new images with disk_format '
        'raw')]
