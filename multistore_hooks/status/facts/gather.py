# SPDX-License-Identifier: Apache-2.0
"""Everything that the checks decide on, read once."""

import os
from typing import Any
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional

from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status.facts import options
from multistore_hooks.status.facts import pools
from multistore_hooks.status import finding

GROUP = options.GROUP


class Service(NamedTuple):
    """What is known of a service on this host."""

    #: Its processes; none where it does not run here.
    processes: List[host.Process]
    #: The interpreter that runs it, or would; None where that is not known.
    interpreter: Optional[host.Interpreter]
    #: Why it is not known; or where it was found, in words.
    how: str
    #: Of its processes.
    pythonpath: str = ''


class Facts:
    """The input of every check.

    :param cloud: None where no credentials were given
    :param problems: what could not be read
    :param pythons: the services' interpreters named by the operator
    :param ceph_pools: the pools that this host reaches
    """

    def __init__(self, nova: Optional[config_files.ServiceConf] = None,
                 cinder: Optional[config_files.ServiceConf] = None,
                 glance: Optional[config_files.ServiceConf] = None,
                 cloud: Optional[live_glance.Cloud] = None,
                 problems: Optional[finding.Findings] = None,
                 no_cloud: Optional[finding.Finding] = None,
                 pythons: Optional[Dict[str, Optional[str]]] = None,
                 ceph_pools: Optional[pools.Pools] = None) -> None:
        self.nova, self.cinder, self.glance = nova, cinder, glance
        self.cloud = cloud
        self.problems = problems or []
        self.no_cloud = no_cloud
        self.pools = ceph_pools or pools.Pools()
        self._pythons = pythons or {}
        self._services: Dict[str, Service] = {}

    @property
    def confs(self) -> List[config_files.ServiceConf]:
        """The configurations that were given."""
        return [conf for conf in (self.nova, self.cinder, self.glance) if conf is not None]

    @property
    def compute_store(self) -> str:
        """The Glance store in this compute's own Ceph cluster; empty where none is named."""
        if self.nova is None or self.nova.get('libvirt', 'images_type') != 'rbd':
            return ''
        return str(self.nova.get('libvirt', 'images_rbd_glance_store_name') or '')

    @property
    def largest(self) -> Optional[Mapping[str, Any]]:
        """The largest active image that can be seen; None where there is none. Raises as `Cloud.images`."""
        seen = [image for image in (self.cloud.images() if self.cloud is not None else ())
                if image.get('status') == 'active' and image.get('size')]
        return max(seen, key=lambda image: int(image['size']), default=None)

    def service(self, name: str) -> Service:
        """Return what is known of nova, cinder or glance on this host."""
        if name not in self._services:
            conf = {'nova': self.nova, 'cinder': self.cinder, 'glance': self.glance}[name]
            self._services[name] = _service(name, self._pythons.get(name), conf.files if conf else [])
        return self._services[name]


def _with(process: host.Process, files: List[str]) -> bool:
    words = {os.path.realpath(word.partition('=')[2] or word) for word in process.argv if '/' in word}
    return any(os.path.realpath(file) in words for file in files)


def _service(name: str, python: Optional[str], files: List[str]) -> Service:
    running = host.processes(name)
    # Where several run, those that were started with the files in question, or with none by name.
    running = [one for one in running if _with(one, files)] or [
        one for one in running if not any('--config-' in word for word in one.argv)]
    here = [process for process in running if not process.elsewhere]
    pythonpath = ''
    if python:
        how = 'named with --%s-python' % name
    elif running and not here:
        return Service(running, None, '%s (process %d) runs in a container: run multistore-status in there'
                       % (running[0].program, running[0].pid))
    elif here and here[0].python:
        python, pythonpath = here[0].python, here[0].pythonpath
        how = 'runs %s, process %d' % (here[0].program, here[0].pid)
    elif here:
        return Service(running, None, 'the command line of %s (process %d) does not show its interpreter: '
                       'name it with --%s-python' % (here[0].program, here[0].pid, name))
    else:
        python = host.installed(name)
        how = 'named by the program %s, which does not run here' % host.PROGRAMS[name][0]
    if not python:
        return Service(running, None, '%s neither runs here with these files nor is on PATH: name its '
                       'interpreter with --%s-python' % (host.PROGRAMS[name][0], name))
    try:
        return Service(running, host.describe(python, pythonpath), how, pythonpath)
    except host.Undetermined as error:
        return Service(running, None, str(error))
