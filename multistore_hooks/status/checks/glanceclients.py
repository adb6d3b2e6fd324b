# SPDX-License-Identifier: Apache-2.0
"""Is the services' glanceclient new enough for what is configured?"""

import re
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from multistore_hooks.status.checks import hooks
from multistore_hooks.status.facts import gather
from multistore_hooks.status import finding

DISTRIBUTION = 'python-glanceclient'
#: What this library is tested with, from Train's on.
_HOOKS = '2.17.0'
#: image_import() learnt stores, which stock Nova gives it.
_COPY_TO_STORES = '3.0.0'


class Need(NamedTuple):
    """A version that something configured needs."""

    version: str
    why: str
    where: str


def check_glanceclient(facts: gather.Facts) -> finding.Findings:
    """Is each service's glanceclient new enough?"""
    found: finding.Findings = []
    for name, needs in (('nova', nova_needs(facts)), ('cinder', cinder_needs(facts))):
        if not needs:
            continue
        service = facts.service(name)
        if service.interpreter is None:
            found.append(finding.passed('%s: its version cannot be determined: %s' % (name, service.how)))
            continue
        found += decide(name, service.interpreter.python,
                        service.interpreter.release_of(DISTRIBUTION), needs)
    return found or [finding.passed('nothing in the given files needs one')]


def nova_needs(facts: gather.Facts) -> List[Need]:
    """Return what nova.conf needs."""
    nova = facts.nova
    if nova is None:
        return []
    driver, where = nova.get('DEFAULT', 'compute_driver'), nova.where('DEFAULT', 'compute_driver')
    if driver == hooks.NOVA_DRIVER:
        return [Need(_HOOKS, 'the hooks', where)]
    if facts.compute_store:
        return [Need(_COPY_TO_STORES, 'the copy that the driver of Nova itself requests',
                     nova.where('libvirt', 'images_rbd_glance_store_name'))]
    return []


def cinder_needs(facts: gather.Facts) -> List[Need]:
    """Return what cinder.conf needs."""
    cinder = facts.cinder
    if cinder is None or cinder.get('DEFAULT', 'volume_manager') != hooks.MANAGER:
        return []
    return [Need(_HOOKS, 'the hooks', cinder.where('DEFAULT', 'volume_manager'))]


def decide(service: str, python: str, version: Optional[str], needs: List[Need]) -> finding.Findings:
    """Compare a version with what is needed."""
    if version is None:
        return [finding.failure('%s, which runs %s, has no %s' % (python, service, DISTRIBUTION),
                                needs[0].where, 'Install it')]
    found = []
    for need in needs:
        if numbers(version) < numbers(need.version):
            found.append(finding.failure(
                '%s, which runs %s, has %s %s; %s takes %s or later'
                % (python, service, DISTRIBUTION, version, need.why, need.version), need.where,
                "Upgrade it: %s -m pip install '%s>=%s', or by the distribution's package"
                % (python, DISTRIBUTION, need.version)))
    return found or [finding.passed('%s: %s %s' % (service, DISTRIBUTION, version))]


def numbers(version: str) -> Tuple[int, ...]:
    """Return the numbers that a version begins with, to compare it with others."""
    found = re.match(r'\d+(\.\d+)*', version)
    return tuple(int(part) for part in found.group(0).split('.')) if found else ()
