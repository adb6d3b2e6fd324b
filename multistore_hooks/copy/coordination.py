# SPDX-License-Identifier: Apache-2.0
"""What the hosts of a site agree on, and see, without Glance: the leader, its status, the image itself.

The words are tooz's. ``ceph/coordinator.py`` does it with the site's own cluster.
"""

import abc
import enum
from typing import NamedTuple
from typing import Optional


class State(enum.Enum):
    """How far the leader of a site is."""

    TURN = 'waits for its turn'
    COPYING = 'has a copy under way'
    DONE = 'has the image in the store'
    FAILED = 'failed'
    ANOTHER_WAY = 'leaves it to a host with another way'
    #: Concerns only requesters with the same rights: see Status.requester.
    REFUSED = 'was refused'


class Status(NamedTuple):
    """What a leader publishes for its followers.

    ``requester`` names the rights that were refused: the same request with the same rights is of no use.
    """

    state: State
    reason: str = ''
    requester: str = ''

    @property
    def final(self) -> bool:
        """Whether the leader's work is over."""
        return self.state not in (State.TURN, State.COPYING)


class Coordinator(abc.ABC):
    """The hosts of a site, for one image and store. No method raises."""

    @abc.abstractmethod
    def image_present(self) -> bool:
        """Return whether the complete image seems to be in the site's own cluster."""

    @abc.abstractmethod
    def obstacle(self) -> str:
        """Return what in the site's own cluster makes every copy fail, or an empty string."""

    @abc.abstractmethod
    def try_lead(self) -> bool:
        """Try to become the leader or, being it, stay so; return whether this host is the leader now.

        The leader has to call this more often than once in 15 seconds.
        """

    def claim(self) -> bool:
        """Claim, or keep, the right to have the image brought to this site; only the leader does.

        :returns: False: another host brings it in a way of its own, and no copy shall be requested meanwhile.
        """
        return True

    def waive(self) -> None:
        """Give that right up while the store waits for its turn."""

    @abc.abstractmethod
    def publish(self, status: Status) -> None:
        """Say how things are; only the leader does."""

    @abc.abstractmethod
    def status(self) -> Optional[Status]:
        """Return what the leader published.

        Of final states only those that are newer than this object, and a refusal of the last minute.
        """

    @abc.abstractmethod
    def step_down(self) -> None:
        """Let another host lead; a final status is published before."""

    def close(self) -> None:
        """Close connections; the next call of another method opens them again."""


class NoCoordinator(Coordinator):
    """A host that knows of no others."""

    def image_present(self) -> bool:
        return False

    def obstacle(self) -> str:
        return ''

    def try_lead(self) -> bool:
        return True

    def publish(self, status: Status) -> None:
        return None

    def status(self) -> Optional[Status]:
        return None

    def step_down(self) -> None:
        return None
