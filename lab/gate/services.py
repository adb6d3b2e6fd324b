# SPDX-License-Identifier: Apache-2.0
"""The OpenStack services that are not on a compute host."""

import os
import typing

from lab.gate import config
from lab.gate import processes
from lab.gate import releases
from lab.gate import sites
from lab.paths import CHECKOUT

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'programs')

AGENTS = ('nova-conductor', 'nova-scheduler', 'cinder-scheduler', 'cinder-volume')


class Services:
    """Starts each service by its name; an API is waited for."""

    def __init__(self, paths: config.Paths, running: processes.Processes,
                 apis: typing.Mapping[str, releases.Api]) -> None:
        self._paths, self._running, self._apis = paths, running, apis

    def start(self, *names: str) -> None:
        """Start services side by side, and wait until the APIs among them listen."""
        for name in names:
            self._start(name)
        for name in names:
            if name in sites.PORTS:
                self._running.wait_for_response(name, sites.PORTS[name])

    def restart(self, *names: str) -> None:
        """Stop services in good order, and start them again."""
        self._running.stop(*names)
        self.start(*names)

    def record(self, name: str) -> str:
        """Return the path of the record of an API's requests."""
        return self._paths.in_work('log', name + '.requests')

    def _start(self, name: str) -> None:
        if name == 'neutron':
            self._running.start(name, [self._paths.program('python'), '-m', 'lab.gate.programs.neutron',
                                       str(sites.PORTS[name])], CHECKOUT)
        elif name in self._apis:
            self._start_api(name)
        else:
            assert name in AGENTS, name
            project = name.partition('-')[0]
            self._running.start(name, [self._paths.program(name), '--config-file',
                                       self._conf(project, project + '.conf')])

    def _start_api(self, name: str) -> None:
        one = self._apis[name]
        program = 'serve_eventlet.py' if one.eventlet else 'serve.py'
        command = [self._paths.program('python'), os.path.join(PROGRAMS, program), one.application,
                   str(sites.PORTS[name]), self.record(name)]
        environment: typing.Dict[str, str] = {}
        if one.variable:
            environment[one.variable] = self._conf(name)
        else:
            command += ['--config-file', self._conf(name, name + '.conf')]
        self._running.start(name, command, **environment)

    def _conf(self, *names: str) -> str:
        return self._paths.in_work('etc', *names)
