# SPDX-License-Identifier: Apache-2.0
"""Keystone's stand-in with a project for each user, and a catalog for each project."""
import threading
import typing

from lab.cinder import keystone

KINDS = ('block-storage', 'block-store', 'volumev3', 'volume')


class Keystone(keystone.Keystone):
    """As its parent; a user's project is that of a table.

    :param project: of a user who is not in the table
    :param projects: {user: project}
    :ivar root: the address of Cinder, without a project
    """

    def __init__(self, project: str, projects: typing.Dict[str, str]) -> None:
        super().__init__(project)
        self._default, self._projects = project, projects
        self._lock = threading.Lock()
        self.root = ''

    def token(self, name: str) -> typing.Tuple[str, typing.Dict[str, typing.Any]]:
        """Return a user's token and what keystone says about it."""
        with self._lock:
            self._project = self._projects.get(name, self._default)
            self.catalog = {kind: '%s/%s' % (self.root, self._project) for kind in KINDS}
            return super().token(name)
