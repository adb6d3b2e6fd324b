# SPDX-License-Identifier: Apache-2.0
"""Points in a store driver at which a test lets a call of os-brick, or of a device, fail.

Two sides. The test's process plans one fault and reads which points were reached::

    plan = Plan(folder)
    plan.set('device.write', skip=1, when='after', action='error')
    plan.reached()          # ['brick.properties', 'brick.connect', 'device.open', ...]
    plan.clear()

The driver's process, in subclasses of the drivers, calls ``POINTS.reach('device.write', function)``.
"""
import errno
import json
import os
import threading
import time
import typing

VARIABLE = 'LAB_VOLUME_FAULTS'
#: What the injected errors say.
SAID = 'injected by the lab'
#: At the end of a file's name: there is one as soon as a call hangs.
HANGS = '-hangs'


class Plan:
    """The test's side.

    :param folder: what the environment variable of Glance names
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._plan = os.path.join(folder, 'plan.json')
        self._reached = os.path.join(folder, 'reached')
        self._number = 0

    def set(self, point: str, skip: int = 0, when: str = 'before', action: str = 'error',
            seconds: float = 0, times: int = 1) -> None:
        """Let a call fail.

        :param skip: so many calls go well before
        :param when: 'before' the call, or 'after' it has done its work
        :param action: 'error', or 'hang' for so many ``seconds`` and go on then
        """
        self._number += 1
        plan = {'number': '%d-%d' % (os.getpid(), self._number), 'point': point, 'skip': skip, 'when': when,
                'action': action, 'seconds': seconds, 'times': times}
        with open(self._plan + '.new', 'w', encoding='utf-8') as file:
            json.dump(plan, file)
        os.rename(self._plan + '.new', self._plan)

    def clear(self) -> None:
        """Let no call fail, and forget which points were reached."""
        for path in (self._plan, self._reached, self._reached + HANGS):
            if os.path.exists(path):
                os.unlink(path)

    def hangs(self) -> bool:
        """Return whether a call hangs, or has hung, as planned."""
        return os.path.exists(self._reached + HANGS)

    def reached(self) -> typing.List[str]:
        """Return the points that were reached since the last :meth:`clear`, in their order."""
        if not os.path.exists(self._reached):
            return []
        with open(self._reached, encoding='utf-8') as file:
            return file.read().split()


class Points:
    """The driver's side; does nothing unless the environment variable is set."""

    def __init__(self) -> None:
        self._folder = os.environ.get(VARIABLE, '')
        self._lock = threading.Lock()
        self._seen: typing.Dict[str, int] = {}

    def reach(self, point: str, function: typing.Callable[[], typing.Any]) -> typing.Any:
        """Call the function and return its result, unless the plan is another."""
        rule = self._rule(point) if self._folder else None
        if rule is None:
            return function()
        if rule['when'] == 'before':
            self._act(point, rule)
        result = function()
        if rule['when'] == 'after':
            self._act(point, rule)
        return result

    def _rule(self, point: str) -> typing.Optional[typing.Dict[str, typing.Any]]:
        with self._lock:
            with open(os.path.join(self._folder, 'reached'), 'a', encoding='utf-8') as file:
                file.write(point + '\n')
            try:
                with open(os.path.join(self._folder, 'plan.json'), encoding='utf-8') as file:
                    plan = json.load(file)
            except FileNotFoundError:
                return None
            if plan['point'] != point:
                return None
            before = self._seen.get(plan['number'], 0)
            self._seen[plan['number']] = before + 1
            return plan if plan['skip'] <= before < plan['skip'] + plan['times'] else None

    def _act(self, point: str, rule: typing.Dict[str, typing.Any]) -> None:
        if rule['action'] == 'hang':
            with open(os.path.join(self._folder, 'reached' + HANGS), 'w', encoding='utf-8'):
                pass
            time.sleep(rule['seconds'])
            return
        if point.startswith('device'):
            raise OSError(errno.EIO, '%s, %s' % (os.strerror(errno.EIO), SAID))
        raise RuntimeError('os-brick failed, %s' % SAID)


POINTS = Points()
