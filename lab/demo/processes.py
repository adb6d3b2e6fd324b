# SPDX-License-Identifier: Apache-2.0
"""The lab's programs as processes that can be ended together, whoever waits for them."""

import json
import os
import signal
import subprocess
import threading
import typing

Json = typing.Dict[str, typing.Any]


class Failed(Exception):
    """The demo cannot go on; the text says why, and may be the whole of what a process said."""


class Processes:
    """Starts processes, each with a process group of its own; `end` ends all that still run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: typing.Set['subprocess.Popen[bytes]'] = set()
        self._ended = False

    def run_json(self, command: typing.Sequence[str], document: Json, **more: typing.Any) -> Json:
        """Run a program that reads one JSON document and prints another; return that one.

        :param more: for subprocess.Popen.
        :raises Failed: it could not be run, or it failed; with what it said.
        """
        code, output, said = self.run(command, json.dumps(document).encode(), **more)
        try:
            answer = json.loads(output.decode())
        except ValueError:
            answer = {}
        if code or not answer:
            raise Failed(str(answer.get('error') or said or 'ended with code %d' % code))
        return typing.cast(Json, answer)

    def run(self, command: typing.Sequence[str], data: bytes = b'', **more: typing.Any
            ) -> typing.Tuple[int, bytes, str]:
        """Run a command; return its exit code, its output, and its errors.

        :raises Failed: it could not be started, or everything has been ended meanwhile.
        """
        with self._lock:
            if self._ended:
                raise Failed('stopped')
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, start_new_session=True, **more)
            except OSError as error:
                raise Failed('cannot run %s: %s' % (command[0], error.strerror))
            self._running.add(process)
        try:
            output, errors = process.communicate(data)
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, output, errors.decode(errors='replace').strip()

    def end(self) -> None:
        """Kill every process with its group; nothing can be started any more."""
        with self._lock:
            self._ended = True
            for process in self._running:
                # Not waited for yet, so the number is still its own.
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
