# SPDX-License-Identifier: Apache-2.0
"""Are the hooks really active: named in the file in use, and there for the interpreter that runs?"""

import os
from typing import Optional
from typing import Sequence

from multistore_hooks.patching import errors
from multistore_hooks.patching import runner
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status import finding

NOVA_DRIVER = 'multistore.LibvirtDriver'
_NOVA_CLASS = 'multistore_hooks.nova.driver'
MANAGER = 'multistore_hooks.cinder.manager.VolumeManager'
API = 'multistore_hooks.cinder.api.API'
EXTENSION = 'multistore_hooks.cinder.extra_specs.StoreValidation'
STANDARD = 'cinder.api.contrib.standard_extensions'
INSTALL = 'Install the library there: in a checkout of it, %s -m pip install .'


def check_nova(facts: gather.Facts) -> finding.Findings:
    """Does nova-compute run the driver of this library?"""
    nova = facts.nova
    if nova is None:
        return [finding.skipped('--nova-conf was not given')]
    driver = nova.get('DEFAULT', 'compute_driver')
    where = nova.where('DEFAULT', 'compute_driver')
    if driver != NOVA_DRIVER:
        return [_another_driver(nova, driver, where)]
    service = facts.service('nova')
    if service.interpreter is None:
        return [finding.undetermined('whether nova-compute finds the driver: ' + service.how, where)]
    found = decide_nova(service.interpreter, where)
    found += stale(nova, service, [_driver_file(service.interpreter)])
    return found or [finding.passed('nova-compute loads %s with %s (%s)' % (
        driver, service.interpreter.python, service.how), where)]


def _another_driver(nova: config_files.ServiceConf, driver: Optional[str], where: str
                    ) -> finding.Finding:
    if driver not in (None, 'libvirt.LibvirtDriver'):
        return finding.warning("is '%s': the hooks are for the libvirt driver" % driver, where)
    ours = [option for option in ('snapshot_store', 'auth_type', 'auth_section')
            if nova.get(gather.GROUP, option)]
    change = ('Set it to %s after: multistore-hooks patch apply nova' % NOVA_DRIVER)
    if ours:
        return finding.failure(
            "is '%s', so no service reads [%s] %s: snapshots go to Glance's default store, and boots "
            "copy as stock Nova does" % (driver or '', gather.GROUP, ', '.join(ours)), where, change)
    return finding.warning("is '%s': Nova's own driver runs, without the hooks" % (driver or ''),
                           where, change)


def decide_nova(interpreter: host.Interpreter, where: str) -> finding.Findings:
    """Return what keeps an interpreter's Nova from loading the driver."""
    python = interpreter.python
    nova, library = interpreter.folder('nova'), interpreter.folder('multistore_hooks')
    if nova is None:
        return [finding.failure('%s has no nova, so it is not the one that runs nova-compute' % python,
                                where, 'Name the right one with --nova-python')]
    apply = ('Apply the patch there: multistore-hooks patch apply nova --root %s, and restart '
             'nova-compute' % os.path.dirname(nova))
    path = _driver_file(interpreter)
    text = _text(path)
    found = []
    if text is None:
        found.append(finding.failure(
            'names %s, but %s does not exist: the patch is not applied to the Nova that %s runs (an '
            'upgrade of its package removes it)' % (NOVA_DRIVER, path, python), where, apply))
    elif _NOVA_CLASS not in text:
        found.append(finding.failure('does not contain the class %s.LibvirtDriver' % _NOVA_CLASS,
                                     path, apply))
    if library is None:
        found.append(finding.failure('%s, which runs nova-compute, has no multistore_hooks' % python,
                                     where, INSTALL % python))
    return found


def _driver_file(interpreter: host.Interpreter) -> str:
    return os.path.join(interpreter.folder('nova') or '', 'virt', 'multistore.py')


def check_cinder(facts: gather.Facts) -> finding.Findings:
    """Do Cinder's services run the classes of this library?"""
    cinder = facts.cinder
    if cinder is None:
        return [finding.skipped('--cinder-conf was not given')]
    service = facts.service('cinder')
    found = decide_extensions(cinder) + _manager(cinder, service)
    ours = [option for option, value in (('volume_manager', MANAGER), ('volume_api_class', API))
            if cinder.get('DEFAULT', option) == value]
    for option in ours:
        found += _library_is_there(service, cinder.where('DEFAULT', option), 'cinder')
    if 'volume_api_class' not in ours:
        found.append(finding.passed('%s: not %s, so the volume service detects a wrong store, and '
                                    'the API does not refuse the request'
                                    % (cinder.where('DEFAULT', 'volume_api_class'), API)))
    found += stale(cinder, service, [])
    return found


def _manager(cinder: config_files.ServiceConf, service: gather.Service) -> finding.Findings:
    manager, where = cinder.get('DEFAULT', 'volume_manager'), cinder.where('DEFAULT', 'volume_manager')
    if manager == MANAGER:
        return []
    patched = patch_state(service)
    if patched == runner.APPLIED:
        return _library_is_there(service, where, 'cinder')
    ours = [option for option in ('upload_store',) if cinder.get(gather.GROUP, option)]
    say = finding.failure if ours else finding.warning
    change = 'Set it to %s' % MANAGER
    if manager != 'cinder.volume.manager.VolumeManager':
        change = ('Derive your class from %s, or: multistore-hooks patch apply cinder --series manager'
                  % MANAGER)
    return [say("is '%s', and the patch is %s: uploads are %s"
                % (manager, patched or 'unknown from here',
                   'not placed, and [%s] %s has no effect' % (gather.GROUP, ', '.join(ours)) if ours
                   else "as stock Cinder's, which follow the base image only behind the Glance filter"),
                where, change)]


def patch_state(service: gather.Service) -> str:
    """Return how the patch of the volume manager is in the service's Cinder; empty if not known."""
    if service.interpreter is None:
        return ''
    folder = service.interpreter.folder('cinder')
    if folder is None:
        return ''
    try:
        request = runner.Request('cinder', os.path.dirname(folder), 'manager',
                                 service.interpreter.release_of('cinder'))
        return runner.Runner(request).status().state
    except (errors.PatchError, OSError):
        return ''


def decide_extensions(cinder: config_files.ServiceConf) -> finding.Findings:
    """Return what is wrong with the API's extensions."""
    extensions, where = (cinder.get('DEFAULT', 'osapi_volume_extension'),
                         cinder.where('DEFAULT', 'osapi_volume_extension'))
    if EXTENSION in extensions and STANDARD not in extensions:
        return [finding.failure("no longer names Cinder's own extensions", where,
                                'Add a line: osapi_volume_extension = %s' % STANDARD)]
    if EXTENSION not in extensions:
        return [finding.passed('%s: without %s, a volume type with a wrong store is not refused'
                               % (where, EXTENSION))]
    return []


def _library_is_there(service: gather.Service, where: str, name: str) -> finding.Findings:
    if service.interpreter is None:
        return [finding.undetermined('whether %s finds the class: %s' % (name, service.how), where)]
    if service.interpreter.folder('multistore_hooks') is None:
        python = service.interpreter.python
        return [finding.failure('%s (%s) has no multistore_hooks' % (python, service.how), where,
                                INSTALL % python)]
    return [finding.passed('%s: found by %s (%s)' % (where, service.interpreter.python, service.how))]


def stale(conf: config_files.ServiceConf, service: gather.Service, others: Sequence[str]
          ) -> finding.Findings:
    """Return a finding for each process that was started before a file of it was changed."""
    changed = [(_changed(path), path) for path in conf.files + list(others)]
    newest, path = max(changed, default=(0.0, ''))
    return [decide_stale(process, newest, path) for process in service.processes
            if not process.elsewhere and process.started and process.started + 1 < newest][:1]


def decide_stale(process: host.Process, newest: float, path: str) -> finding.Finding:
    """Return what to do about a process that runs on older files."""
    return finding.warning('%s (process %d) was started before this file was last changed, so it may '
                           'run without the change' % (process.program, process.pid), path,
                           'Restart %s' % process.program)


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding='utf-8', errors='replace') as stream:
            return stream.read(1 << 16)
    except OSError:
        return None
