# SPDX-License-Identifier: Apache-2.0
"""A plan as text, like a diff: ``+`` to copy, ``-`` to remove, ``~`` on its way, ``!`` not possible."""

from typing import Any
from typing import Dict
from typing import List

from multistore_hooks.stores import inventory
from multistore_hooks.stores import plans
from multistore_hooks.stores import units


def printable(text: str) -> str:
    """Return a text that came from users with its control characters escaped."""
    return ''.join(one if one.isprintable() else one.encode('unicode_escape').decode('ascii')
                   for one in text)


def title(image: inventory.Subject) -> str:
    """Return how an image is shown."""
    return ('%s %s' % (image.id, printable(image.name))).strip()


def lines(plan: plans.Plan) -> List[str]:
    """Return a plan, one image after the other in the order of the plan, and the sums at the end."""
    blocks: Dict[str, List[str]] = {}
    for copy in plan.waits:
        _block(blocks, copy.image).extend('~   %s  (%s)' % entry for entry in zip(copy.stores, copy.reasons))
    for one in plan.rounds:
        for copy in one.copies:
            block = _block(blocks, copy.image)
            block += ['+   %s  (%s)' % entry for entry in zip(copy.stores, copy.reasons)]
        for evict in one.evictions:
            _block(blocks, evict.image).append('-   %s  (%s)' % (evict.store, evict.reason))
    for unmet in plan.unmet:
        _block(blocks, unmet.image).append('!   %s' % unmet.why)
    found = [line for block in blocks.values() for line in block]
    found += ['! %s' % note for note in plan.notes]
    return found + [summary(plan)]


def _block(blocks: Dict[str, List[str]], image: inventory.Subject) -> List[str]:
    if image.id not in blocks:
        blocks[image.id] = ['  %s  (%s)' % (title(image), units.show_bytes(image.size))]
    return blocks[image.id]


def summary(plan: plans.Plan) -> str:
    """Return the sums of a plan in one line."""
    copies = sum(len(copy.stores) for copy in plan.copies)
    if not copies and not plan.evictions:
        text = 'Nothing to do'
    else:
        text = '%s (%s) in %s, %s (%s)' % (
            units.counted(copies, 'copy', 'copies'), units.show_bytes(plan.bytes_copied),
            units.counted(len(plan.copies), 'import'), units.counted(len(plan.evictions), 'eviction'),
            units.show_bytes(plan.bytes_evicted))
    return text + ('; %d not possible' % len(plan.unmet) if plan.unmet else '') + '.'


def document(plan: plans.Plan) -> Dict[str, Any]:
    """Return a plan as values for JSON."""
    return {
        'waits': [{'image': copy.image.id, 'name': copy.image.name, 'stores': list(copy.stores)}
                  for copy in plan.waits],
        'copies': [{'image': copy.image.id, 'name': copy.image.name, 'stores': list(copy.stores),
                    'reasons': list(copy.reasons), 'bytes': copy.bytes} for copy in plan.copies],
        'evictions': [{'image': evict.image.id, 'name': evict.image.name, 'store': evict.store,
                       'reason': evict.reason, 'bytes': evict.image.size} for evict in plan.evictions],
        'unmet': [{'image': unmet.image.id, 'name': unmet.image.name, 'store': unmet.store, 'why': unmet.why}
                  for unmet in plan.unmet],
        'notes': list(plan.notes)}
