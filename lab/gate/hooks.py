# SPDX-License-Identifier: Apache-2.0
"""The hooks come into the cloud as an operator installs them: README.rst, section "In a cloud", and the
pages in doc/source/hooks for what it leaves out (copies into Ceph, images on volumes).

When those change, this file is to change with them. There is no other way in.
"""

import os
import subprocess
import typing

from lab import checkout
from lab.gate import config
from lab.gate import processes
from lab.gate import sites

#: Command that runs its arguments in the machine's own network: pip must reach its index.
OUTSIDE = 'GATE_OUTSIDE'

NOVA: config.Conf = {
    'DEFAULT': {'compute_driver': 'multistore.LibvirtDriver'},
    'multistore_hooks': {'glance_rbd_pool': config.IMAGES},
}
CINDER: config.Conf = {
    'DEFAULT': {
        'volume_manager': 'multistore_hooks.cinder.manager.VolumeManager',
        'volume_api_class': 'multistore_hooks.cinder.api.API',
        'osapi_volume_extension': ['cinder.api.contrib.standard_extensions',
                                   'multistore_hooks.cinder.extra_specs.StoreValidation']},
    **{site.name: {'rbd_glance_store_name': site.name, 'rbd_glance_pool': config.IMAGES}
       for site in sites.SITES},
}
FILTER = '''
[filter:base_image]
paste.filter_factory = multistore_hooks.glance.base_image_filter:filter_factory
'''
#: The line to change, by the section it is in: since 2023.2, and before.
PIPELINES = {'[composite:api]': 'keystone = ',
             '[pipeline:glance-api-keystone]': 'pipeline = '}


def paste_with_filter(text: str) -> str:
    """Return glance-api-paste.ini with the filter right after ``context`` in its pipeline."""
    lines, section = [], ''
    for line in text.splitlines():
        if line.startswith('['):
            section = line.strip()
        if line.startswith(PIPELINES.get(section, '\n')):
            line = line.replace(' context ', ' context base_image ')
        lines.append(line)
    return '\n'.join(lines) + '\n' + FILTER


def install(paths: config.Paths, running: processes.Processes) -> None:
    """``pip install`` in a checkout, with the pip of the environment that all services run in."""
    copy = paths.in_work('checkout')
    checkout.copy(copy, history=False)
    command = 'cd %s && exec %s -m pip install ".[cinder-store]"' % (copy, paths.program('python'))
    running.run([*os.environ[OUTSIDE].split(), 'sh', '-c', command], 'pip',
                environment={**os.environ, **_version()})


def patch_nova(paths: config.Paths, running: processes.Processes) -> None:
    """``multistore-hooks patch check nova`` and ``apply``."""
    for verb in ('check', 'apply'):
        _patch(paths, running, verb)


def _patch(paths: config.Paths, running: processes.Processes, verb: str) -> None:
    running.run([paths.program('multistore-hooks'), 'patch', verb, 'nova'], 'patch')


def clean(venv: str) -> None:
    """Have none of the hooks in the environment, whatever an earlier run has left."""
    python = os.path.join(venv, 'bin', 'python')
    there = subprocess.run([python, '-c', 'import multistore_hooks'], cwd='/', check=False,
                           stderr=subprocess.DEVNULL).returncode == 0
    if not there:
        return
    subprocess.run([os.path.join(venv, 'bin', 'multistore-hooks'), 'patch', 'revert', 'nova'],
                   check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([python, '-m', 'pip', 'uninstall', '-q', '-y', 'multistore-hooks'], check=True)


def _version() -> typing.Dict[str, str]:
    # The copy has no history from which pbr could determine it.
    return {'PBR_VERSION': '0.0.0'}
