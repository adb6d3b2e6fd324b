# SPDX-License-Identifier: Apache-2.0
"""A real Cinder over HTTP for tests: ``with Cinder(glance_url, state_dir) as cinder:``.

Imports nothing of Cinder: the services run in a process of their own, with the
Python and the Cinder that are requested.
"""
import glob
import os
import sys
import typing

from lab.cinder import client
from lab.cinder import conf
from lab.cinder import run
from lab import ini
from lab.poll import LabError
from lab import ports
from lab import processes

PASTE = '''[composite:osapi_volume]
use = call:cinder.api:root_app_factory
/: versions
/v3: lab

[composite:lab]
use = call:cinder.api.middleware.auth:pipeline_factory
keystone = request_id faultwrap fakeauth keystonecontext apiv3
keystone_nolimit = request_id faultwrap fakeauth keystonecontext apiv3
noauth = request_id faultwrap noauth apiv3

[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory

[filter:faultwrap]
paste.filter_factory = cinder.api.middleware.fault:FaultWrapper.factory

[filter:fakeauth]
paste.filter_factory = lab.keystone:filter_factory

[filter:keystonecontext]
paste.filter_factory = cinder.api.middleware.auth:CinderKeystoneContext.factory

[filter:noauth]
paste.filter_factory = cinder.api.middleware.auth:NoAuthMiddleware.factory

[app:apiv3]
paste.app_factory = cinder.api.v3.router:APIRouter.factory

[pipeline:versions]
pipeline = request_id faultwrap versionsapp

[app:versionsapp]
paste.app_factory = cinder.api.versions:Versions.factory
'''


class Cinder(client.Client):
    """cinder-api, cinder-scheduler and cinder-volume with volumes in a directory.

    :param glance_url: the Glance to use
    :param state_dir: an empty directory of this lab's own: configuration, database, volumes, log
    :param auth: 'keystone': Cinder talks to Glance with the user's token on a keystoneauth
        session; 'noauth': it sends Glance no token, and everybody is an administrator (Cinder
        15 to 17 can then not create a volume from an image: it trips over a missing attribute)
    :param overrides: {group: {option: value}} for cinder.conf
    :param python: the interpreter that has Cinder's libraries
    :param pythonpath: where an unpacked Cinder is, for releases that are not installed
    :param cache_dir: where migrated databases are kept between runs

    Use as a context manager, or call :meth:`start` and :meth:`stop`.
    """

    backends: typing.Tuple[str, ...] = (conf.BACKEND,)

    def __init__(self, glance_url: str, state_dir: str, auth: str = 'keystone',
                 overrides: typing.Optional[ini.Sections] = None,
                 python: str = sys.executable, pythonpath: str = '',
                 cache_dir: typing.Optional[str] = None) -> None:
        super().__init__(auth)
        self._state_dir = os.path.abspath(state_dir)
        self._python = python
        self._pythonpath = pythonpath
        self._cache_dir = cache_dir
        self._process: typing.Optional[processes.Process] = None
        chosen = conf.defaults(self._state_dir, glance_url, auth)
        chosen['DEFAULT']['api_paste_config'] = os.path.join(self._state_dir, 'paste.ini')
        chosen['DEFAULT']['resource_query_filters_file'] = os.path.join(
            self._state_dir, 'resource_filters.json')
        self._sections = ini.merged(chosen, overrides or {})

    def __enter__(self) -> 'Cinder':
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_unused: typing.Any) -> None:
        self.stop()

    def start(self) -> 'Cinder':
        """Start the process and wait until scheduler and volume service report themselves up.

        :raises LabError: with the end of the output when it does not come up
        """
        conf_file = conf.write(self._state_dir, self._sections)
        self._write('paste.ini', PASTE)
        self._write('resource_filters.json', '{}')
        with ports.listen() as listener:
            self.url = 'http://127.0.0.1:%d/v3/%s' % (listener.getsockname()[1], client.PROJECT)
            self._process = processes.Process(
                [self._python, '-m', 'lab.cinder.serve', conf_file, self._state_dir, str(listener.fileno())]
                + ([self._cache_dir] if self._cache_dir else []), self.output,
                warm='' if self._pythonpath else 'cinder', env=run.environment(self._pythonpath),
                cwd=self._state_dir, pass_fds=[listener.fileno()])
        self._process.logs.append(os.path.join(self._state_dir, 'cinder.log'))
        hosts = {conf.HOST} | {'%s@%s' % (conf.HOST, name) for name in self.backends}
        self._process.wait_until('services of Cinder', lambda: hosts <= self._hosts_up())
        return self

    def _hosts_up(self) -> typing.Set[str]:
        found = self.request('GET', '/os-services', token=client.ADMIN)['services']
        return {service['host'] for service in found if service['state'] == 'up'}

    def stop(self) -> None:
        """End the process; harmless when it is gone already."""
        if self._process:
            self._process.kill()
            self._process = None

    @property
    def output(self) -> str:
        """The file with what the process wrote to standard error."""
        return os.path.join(self._state_dir, 'serve.out')

    @property
    def log(self) -> str:
        """The text of the services' log so far."""
        with open(os.path.join(self._state_dir, 'cinder.log'), encoding='utf-8') as log:
            return log.read()

    def path_of(self, volume_id: str) -> str:
        """Return the file that holds the volume's bytes."""
        found = glob.glob(os.path.join(self._state_dir, 'volumes', '**', 'volume-' + volume_id),
                          recursive=True)
        if not found:
            raise LabError('volume %s has no file in %s' % (volume_id, self._state_dir))
        return found[0]

    def shrink(self, volume_id: str, size: int) -> None:
        """Cut the volume's file to ``size`` bytes, so that its upload need not send a whole GiB.

        Cinder still thinks that the volume has its GiB; only the bytes of an upload are fewer.
        """
        os.truncate(self.path_of(volume_id), size)

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._state_dir, name), 'w', encoding='utf-8') as file:
            file.write(text)
