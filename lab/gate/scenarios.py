# SPDX-License-Identifier: Apache-2.0
"""The scenarios: which there are, and in which modes each runs."""

import os
import typing

from lab.gate import boots
from lab.gate.cloud import Cloud
from lab.gate.cloud import FILTER
from lab.gate.cloud import HOOKS
from lab.gate.cloud import Mode
from lab.gate.cloud import STOCK
from lab.gate import commands
from lab.gate import faults
from lab.gate import filtered
from lab.gate import releases
from lab.gate import servers
from lab.gate import site_images
from lab.gate import snapshots
from lab.gate import tempest
from lab.gate import volume_sites
from lab.gate import volume_store
from lab.gate import volumes
from lab.poll import LabError

Scenario = typing.Callable[..., None]
STOCK, FILTER, HOOKS = STOCK, FILTER, HOOKS

# In the order of their numbers; with the modes in which they run. Each takes the cloud and the sheet.
SCENARIOS: typing.Dict[int, typing.Tuple[typing.Sequence[Mode], typing.Sequence[Scenario]]] = {
    1: ((STOCK, HOOKS), [boots.cold_boots]),
    2: ((STOCK, HOOKS), [snapshots.image_booted, snapshots.of_volume_booted,
                         snapshots.of_deleted_base]),
    3: ((STOCK, FILTER), [filtered.stock_services]),
    4: ((STOCK, HOOKS), [volumes.uploads, volumes.wrong_store]),
    5: ((STOCK, HOOKS), [boots.cached_boots]),
    6: ((STOCK, HOOKS), [volume_store.image_store]),
    7: ((STOCK, HOOKS), [faults.glance_killed, faults.ceph_stopped, faults.rabbitmq_restarted,
                         faults.compute_killed]),
    8: ((HOOKS,), [tempest.plugin]),
    9: ((HOOKS,), [commands.check, commands.of_images]),
    10: ((STOCK, HOOKS), [volume_sites.boots, volume_sites.upload]),
    11: ((HOOKS,), [faults.glance_killed_in_turn]),
    12: ((STOCK, HOOKS), [site_images.boots_and_snapshot]),
}
SHORT = (1, 2, 4)


def run(cloud: Cloud, sheet: typing.Any,
        stage: typing.Callable[[str], typing.ContextManager[typing.Any]]) -> None:
    """Run them: all of stock first, then the hooks are installed."""
    chosen = wanted()
    sheet.remarks += remarks(chosen, cloud.release)
    for mode in modes():
        numbers = [number for number in SCENARIOS
                   if number in chosen and runs(number, mode, cloud.release)]
        if not numbers:
            continue
        if mode != cloud.mode:
            with stage('switching to %s' % mode.name):
                cloud.switch(mode)
        for number in numbers:
            for scenario in SCENARIOS[number][1]:
                _run(cloud, sheet, number, scenario)


def runs(number: int, mode: Mode, release: releases.Release) -> bool:
    """Return whether a release can have a scenario in a mode."""
    return (mode in SCENARIOS[number][0] and number not in release.without
            and not (mode == STOCK and number in release.not_stock))


def remarks(numbers: typing.Iterable[int], release: releases.Release) -> typing.List[str]:
    """Return what of these scenarios a release does not have, and why."""
    lines = []
    for number in numbers:
        if number in release.without:
            lines.append('%d not of %s: %s' % (number, release.name, release.without[number]))
        elif number in release.not_stock and STOCK in SCENARIOS[number][0]:
            lines.append('%d not of stock %s: %s' % (number, release.name, release.not_stock[number]))
    return lines


def _run(cloud: Cloud, sheet: typing.Any, number: int, scenario: Scenario) -> None:
    """Run a scenario; what it could not do is a row of its own, and the others come after it."""
    parts: typing.List[typing.Tuple[str, typing.Callable[[], None]]] = [
        (scenario.__name__.replace('_', ' '), lambda: scenario(cloud, sheet)),
        ('clearing up after that', lambda: servers.wipe(cloud))]
    for part, function in parts:
        try:
            function()
        except LabError as error:
            with sheet.row(number, part):
                raise error


def modes() -> typing.Sequence[Mode]:
    """Return the modes to run in: the short form leaves stock services out."""
    return (HOOKS,) if _is_short() else (STOCK, FILTER, HOOKS)


def _is_short() -> bool:
    return os.environ.get('GATE', '') == 'short' and not os.environ.get('ONLY', '')


def wanted() -> typing.Sequence[int]:
    """Return the numbers that GATE and ONLY in the environment name."""
    only = os.environ.get('ONLY', '')
    if only:
        return [int(number) for number in only.split(',')]
    return SHORT if _is_short() else tuple(SCENARIOS)
