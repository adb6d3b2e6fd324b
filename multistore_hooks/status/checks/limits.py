# SPDX-License-Identifier: Apache-2.0
"""Is there room for a copy: in Glance's staging directory, and in its limits for projects?"""

import os
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import session
from multistore_hooks.status.checks import copy_image
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding
from multistore_hooks.stores import units

_STAGING = 'os_glance_staging_store'
_UNITS = {'': 1, 'B': 1, 'KB': 1 << 10, 'MB': 1 << 20, 'GB': 1 << 30, 'TB': 1 << 40}


def check_staging(facts: gather.Facts) -> finding.Findings:
    """Does the largest image fit into Glance's staging directory, which a copy passes through?"""
    glance = facts.glance
    if glance is None:
        return [finding.skipped('--glance-conf was not given')]
    if not glance.get('DEFAULT', 'enabled_backends'):
        return [finding.passed('Glance has one store, and copies nothing')]
    folder, where = (glance.get(_STAGING, 'filesystem_store_datadir'),
                     glance.where(_STAGING, 'filesystem_store_datadir'))
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return [finding.undetermined('the free space of %s: %s. Glance makes it when it starts'
                                     % (folder, error.strerror), where,
                                     'Run the check on the host of Glance')]
    return decide_staging(found.f_bavail * found.f_frsize, facts.largest, folder, where)


def decide_staging(free: int, largest: Optional[Mapping[str, Any]], folder: str, where: str
                   ) -> finding.Findings:
    """Return whether an image fits into the free bytes of the staging directory."""
    if largest is None:
        return [finding.passed('%s has %s free' % (folder, units.show_bytes(free)), where)]
    image = 'image %s, the largest one (%s)' % (largest['id'], units.show_bytes(int(largest['size'])))
    if int(largest['size']) > free:
        return [finding.warning(
            '%s has %s free, which is too little for %s: it cannot be copied or imported'
            % (folder, units.show_bytes(free), image), where, 'Make room, or name a larger file system')]
    return [finding.passed('%s has %s free, enough for %s' % (folder, units.show_bytes(free), image), where)]


def check_limits(facts: gather.Facts) -> finding.Findings:
    """Do Glance's limits for projects allow copies?"""
    found = _decide_quota_of_users(facts)
    if facts.cloud is None:
        return found or [finding.skipped('Glance was not queried')]
    largest = facts.largest
    for connection in _connections(facts, facts.cloud):
        try:
            usage = live_glance.usage(connection)
        except live_glance.Errors as error:
            found.append(finding.undetermined('the limits of the project of %s: %s'
                                              % (connection.source, error)))
            continue
        found += decide_limits(usage, int(largest['size']) if largest else 0, connection.source)
    return found or [finding.passed('no limit of Glance is in the way of a copy')]


def _connections(facts: gather.Facts, cloud: live_glance.Cloud) -> List[session.Connection]:
    """Return the credentials with which copies are requested: the limit is that of their project."""
    found = [cloud.connection]
    for conf in (facts.nova, facts.cinder):
        if conf is not None and conf.get(gather.GROUP, 'auth_type'):
            try:
                found.append(copy_image.connection_of(conf, gather.GROUP))
            except session.CloudError:
                pass  # another check's finding
    return found


def decide_limits(usage: Mapping[str, Mapping[str, Any]], largest: int, source: str) -> finding.Findings:
    """Return which unified limits a copy of the largest image would meet.

    Glance marks an image as being imported before it checks the limits: an image of the requesting project
    itself counts twice, in the usage and in the request.

    :param usage: usage and limit by name, sizes in MiB; -1 is no limit
    :param largest: bytes
    """
    where, found = 'the limits of the project of ' + source, []
    size = largest >> 20
    used, limit = _of(usage, 'image_stage_total')
    change = 'Raise the limit %s of this project in Keystone (openstack limit set)'
    if limit is not None and used + 2 * size > limit:
        found.append(_say(limit)(
            'image_stage_total is %d MiB, of which %d are used: Glance accepts a copy of the largest image '
            '(%d MiB%s), and then fails it'
            % (limit, used, size, '' if used + size > limit else
               ', which counts twice if it belongs to this project'), where, change % 'image_stage_total'))
    used, limit = _of(usage, 'image_count_uploading')
    if limit is not None and used >= limit:
        found.append(_say(limit)(
            'image_count_uploading is %d, and %d images are being uploaded or copied: a further copy%s fails'
            % (limit, used, ' of an image of this project' if used == limit else ''), where,
            change % 'image_count_uploading'))
    for name, effect, more in (('image_size_total', 'uploads and snapshots are refused', 0),
                               ('image_count_total', 'new images are refused', 1)):
        used, limit = _of(usage, name)
        if limit is not None and used + more > limit:
            found.append(finding.warning('%s is %d, and %d are used: %s' % (name, limit, used, effect),
                                         where, change % name))
    return found


def _say(limit: int) -> Callable[[str, str, str], finding.Finding]:
    """Return how bad a limit is that is reached: 0 forbids all copies, any other one those of now."""
    return finding.warning if limit else finding.failure


def _of(usage: Mapping[str, Mapping[str, Any]], name: str) -> Tuple[int, Optional[int]]:
    entry = usage.get(name) or {}
    limit = int(entry.get('limit', -1))
    return int(entry.get('usage', 0)), None if limit < 0 else limit


def _decide_quota_of_users(facts: gather.Facts) -> finding.Findings:
    glance = facts.glance
    if glance is None or facts.cloud is None:
        return []
    quota = _bytes(glance.get('DEFAULT', 'user_storage_quota'))
    return decide_user_quota(quota, facts.cloud.images(), glance)


def decide_user_quota(quota: int, images: Sequence[Mapping[str, Any]], glance: config_files.ServiceConf
                      ) -> finding.Findings:
    """Return the projects that have used up user_storage_quota: each copy counts.

    :param quota: bytes; 0 is no limit
    """
    used: Dict[str, int] = {}
    for image in images:
        copies = max(1, len(str(image.get('stores') or '').split(',')))
        owner = str(image.get('owner') or '')
        used[owner] = used.get(owner, 0) + copies * int(image.get('size') or 0)
    full = sorted(owner for owner, size in used.items() if owner and quota and size >= quota)
    return [finding.warning(
        'is %s for each project, and each copy of an image counts: uploads and snapshots of %d projects are '
        'refused (%s)' % (units.show_bytes(quota), len(full), ', '.join(full[:5])),
        glance.where('DEFAULT', 'user_storage_quota'),
        'Raise it, or set colocate_volumes = primary, which makes fewer copies')] if full else []


def _bytes(text: Any) -> int:
    """Return the bytes of a quota as Glance writes it (``10 GB``); 0 for a text that is none."""
    found = re.match(r'(\d+)\s*([KMGT]?B)?\Z', str(text or '').strip().upper())
    return int(found.group(1)) * _UNITS[found.group(2) or ''] if found else 0
