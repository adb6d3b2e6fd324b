# SPDX-License-Identifier: Apache-2.0
"""Do the pools hold the copies that Glance's records list, and none that is unfinished?"""

from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Set

from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import ceph_users
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status.facts import pools
from multistore_hooks.status import finding
from multistore_hooks.stores import check

#: So many images of a store are named; of the rest, how many there are.
MOST_NAMES = 5
_EFFECTS = {
    check.MISSING: ('which the pool %s does not hold: boots and volumes from them are never clones, and '
                    'Glance cannot read them there',
                    'Remove these copies from Glance (glance stores-delete --store %s IMAGE) where the image '
                    'is in another store too, and have them copied again'),
    check.DIFFERS: ('whose data in the pool %s is another size or was not completed',
                    'Remove these copies from Glance (glance stores-delete --store %s IMAGE) where the image '
                    'is in another store too, and have them copied again'),
}
_UNFINISHED = ('is not there by the record of the images %s, but the pool %s holds data of them: a copy was '
               'not completed, and Glance refuses each further copy (RBD image already exists)')


class Held(NamedTuple):
    """A store, and the pool that should be its own."""

    store: str
    user: pools.User
    pool: str
    #: The option that names the pool.
    where: str


def check_contents(facts: gather.Facts) -> finding.Findings:
    """Does each pool hold what Glance's records say that it holds?"""
    stores = stores_of(facts)
    if not stores:
        return [finding.passed('no store in a Ceph cluster is configured in the files')
                if facts.confs else finding.skipped('no file was given')]
    if facts.cloud is None:
        return [finding.skipped('Glance was not queried')]
    if not facts.pools.reachable:
        return [finding.skipped(ceph_users.NO_BINDINGS)]
    found: finding.Findings = []
    for held in stores:
        try:
            images = [api.Image.from_glance(record) for record in facts.cloud.images()]
            found += _compare(facts, facts.cloud, held, images)
        except pools.Undetermined as error:
            found.append(finding.undetermined("what the pool of the store '%s' holds: %s"
                                              % (held.store, error), held.where))
    return found or [finding.passed('the pools hold what the records say: %s' % ', '.join(
        "the store '%s' (%s)" % (held.store, held.pool) for held in stores))]


def _compare(facts: gather.Facts, cloud: live_glance.Cloud, held: Held, images: Sequence[api.Image]
             ) -> finding.Findings:
    suspects = _seen(facts, held, images)
    if suspects:
        # Between the record and the pool an image may have come or gone: only what stays so is reported.
        again = [cloud.image(image_id) for image_id in sorted({one.name for one in suspects})]
        suspects = _seen(facts, held, [image for image in again if image is not None])
    return decide(held, suspects)


def _seen(facts: gather.Facts, held: Held, images: Sequence[api.Image]) -> List[check.Finding]:
    place, found = facts.pools.held(held.user, held.pool, [image.id for image in images])
    try:
        return [one for one in check.compare(held.store, place, found, images) if not one.pending]
    except check.NotThisStore:
        return [check.Finding(check.MISSING, held.store, image.id, '') for image in images
                if held.store in image.stores and image.status == 'active' and not image.import_task]


def decide(held: Held, seen: Sequence[check.Finding]) -> finding.Findings:
    """Return what a comparison of records and pool means."""
    names: Dict[str, Set[str]] = {}
    for one in seen:
        names.setdefault(one.kind, set()).add(one.name)
    found = []
    for kind, (effect, change) in _EFFECTS.items():
        if kind in names:
            found.append(finding.failure(
                "Glance lists in the store '%s' the images %s, %s" % (
                    held.store, _some(names[kind]), effect % held.pool), held.where, change % held.store))
    if check.UNFINISHED in names:
        found.append(finding.failure(
            "the store '%s' %s" % (held.store, _UNFINISHED % (_some(names[check.UNFINISHED]), held.pool)),
            held.where, 'See that no copy of them is in progress, and remove that data: rbd rm %s/IMAGE'
            % held.pool))
    return found


def _some(names: Set[str]) -> str:
    shown = sorted(names)[:MOST_NAMES]
    rest = len(names) - len(shown)
    return ', '.join(shown) + (' and %d more' % rest if rest else '')


def stores_of(facts: gather.Facts) -> List[Held]:
    """Return the stores whose pools this host can read by its configuration files, each pool once."""
    found = []
    if facts.nova is not None and facts.compute_store:
        found.append(Held(facts.compute_store, ceph_users.user_of_nova(facts.nova),
                          facts.nova.get(gather.GROUP, 'glance_rbd_pool'),
                          facts.nova.where(gather.GROUP, 'glance_rbd_pool')))
    for backend in config_files.backends(facts.cinder):
        if backend.store:
            found.append(Held(backend.store, ceph_users.user_of_backend(backend),
                              backend.get('rbd_glance_pool'), backend.where('rbd_glance_pool')))
    glance = facts.glance
    for store, kind in (glance.get('DEFAULT', 'enabled_backends') or {} if glance else {}).items():
        if glance is not None and kind == 'rbd':
            found.append(Held(store, ceph_users.user_of_store(glance, store),
                              glance.get(store, 'rbd_store_pool'), glance.where(store, 'rbd_store_pool')))
    once = {(held.store, held.user.conf_file, held.pool): held for held in reversed(found)}
    return list(reversed(list(once.values())))
