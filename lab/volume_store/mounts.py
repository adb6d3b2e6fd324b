# SPDX-License-Identifier: Apache-2.0
"""File systems and loop devices of a lab, and what this machine lacks for them."""
import json
import os
import shutil
import subprocess
import typing

LOOP_CONTROL = '/dev/loop-control'
Loop = typing.Dict[str, typing.Any]


def unavailable() -> typing.Optional[str]:
    """Say why there can be no block device of the lab's own here; None: there can."""
    if os.geteuid() != 0:
        return 'loop devices and mounts need root'
    missing = [program for program in ('losetup', 'mount', 'umount') if not shutil.which(program)]
    if missing:
        return 'no %s here' % ', '.join(missing)
    if not os.path.exists(LOOP_CONTROL):
        return 'this kernel has no loop devices (%s)' % LOOP_CONTROL
    return None


class Mounts:
    """Mounts below a folder; :meth:`clear` takes all away, and the folder's loop devices."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)
        self._open: typing.List[int] = []

    def memory(self, folder: str, size: str) -> None:
        """Mount a file system in memory, of a size such as '16m'."""
        self._mount(folder, '-t', 'tmpfs', '-o', 'size=' + size, 'lab')

    def bind(self, source: str, folder: str) -> None:
        """Let a mounted folder be seen in another place too; it stays, whatever unmounts it."""
        self._mount(folder, '--bind', source)
        self._open.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def loops(self) -> typing.List[Loop]:
        """Return the loop devices whose file is in the folder: dictionaries with name and back-file."""
        done = subprocess.run(['losetup', '--json', '--list', '--output', 'NAME,BACK-FILE'],
                              stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout.decode() or '{"loopdevices": []}')['loopdevices']
        return [one for one in found if (one['back-file'] or '').startswith(self._root + os.sep)]

    def detach_loops(self) -> None:
        """Take away the loop devices."""
        for loop in self.loops():
            subprocess.run(['losetup', '--detach', loop['name']], stderr=subprocess.DEVNULL, check=False)

    def clear(self) -> None:
        """Take away the loop devices and the mounts."""
        self.detach_loops()
        while self._open:
            os.close(self._open.pop())
        with open('/proc/mounts', encoding='utf-8') as found:
            folders = [line.split()[1] for line in found]
        for folder in reversed(folders):
            if folder.startswith(self._root + os.sep):
                subprocess.run(['umount', '--lazy', folder], check=False)

    def _mount(self, folder: str, *arguments: str) -> None:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(['mount', *arguments, folder], check=True)
