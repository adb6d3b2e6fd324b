# SPDX-License-Identifier: Apache-2.0
"""Can Cinder's backends carry the hook, and may Cinder request of Glance what the hook needs?"""

from typing import Optional

from multistore_hooks.status.checks import copy_image
from multistore_hooks.status.facts import cinder_drivers
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding

_CREDENTIALS = 'glance'


def check_drivers(facts: gather.Facts) -> finding.Findings:
    """Can the driver of each backend carry the hook?"""
    if facts.cinder is None:
        return [finding.skipped('--cinder-conf was not given')]
    backends = config_files.backends(facts.cinder)
    paths = sorted({str(backend.get('volume_driver')) for backend in backends
                    if backend.get('volume_driver')})
    if not paths:
        return [finding.passed('no backend is enabled in this file')]
    service = facts.service('cinder')
    if service.interpreter is None:
        return [finding.undetermined('whether the drivers can carry the hook: ' + service.how,
                                     facts.cinder.where('DEFAULT', 'enabled_backends'))]
    try:
        drivers = cinder_drivers.examine(service.interpreter.python, paths, service.pythonpath)
    except host.Undetermined as error:
        return [finding.undetermined('whether the drivers can carry the hook: %s' % error,
                                     facts.cinder.where('DEFAULT', 'enabled_backends'))]
    found = [one for backend in backends if backend.get('volume_driver') in drivers
             for one in decide_driver(backend, drivers[backend.get('volume_driver')])]
    return found or [finding.passed('carry the hook: ' + ', '.join(paths))]


def decide_driver(backend: config_files.Backend, driver: cinder_drivers.Driver) -> finding.Findings:
    """Return why a backend's driver does not do what the hook is for."""
    where, found = backend.where('volume_driver'), []
    if driver.kind == cinder_drivers.UNKNOWN:
        return [finding.undetermined('whether %s can carry the hook: %s'
                                     % (backend.get('volume_driver'), driver.why), where)]
    if driver.kind == cinder_drivers.LATER:
        return [finding.passed("%s: %s makes its driver when cinder-volume starts, whose log then says "
                               "'Uploads of the driver ... follow', or that it cannot carry the hook"
                               % (where, backend.get('volume_driver')))]
    if driver.kind == cinder_drivers.REFUSES:
        found.append(finding.failure(
            "%s cannot carry the hook (%s): uploads of this backend follow neither upload_store nor the "
            "volume's base image" % (backend.get('volume_driver'), driver.why), where,
            'Use a driver that is a plain Python class, or put the Glance filter into the pipeline, which '
            'places uploads of every driver'))
    if backend.store and driver.kind == cinder_drivers.CARRIES and not driver.is_rbd:
        found.append(finding.failure(
            'has no effect, because %s is not the RBD driver' % backend.get('volume_driver'),
            backend.where('rbd_glance_store_name'), 'Remove it'))
    return found


def check_credentials(facts: gather.Facts) -> finding.Findings:
    """May Cinder have images copied, and see where Glance keeps them?"""
    cinder = facts.cinder
    if cinder is None:
        return [finding.skipped('--cinder-conf was not given')]
    copies = any(backend.store for backend in config_files.backends(cinder))
    has = {group: bool(cinder.get(group, 'auth_type') or cinder.get(group, 'auth_section'))
           for group in (gather.GROUP, _CREDENTIALS)}
    found: finding.Findings = []
    if copies and not any(has.values()):
        found += copy_image.with_token_of_user(facts, cinder, 'the user who creates the volume')
    elif copies:
        group = gather.GROUP if has[gather.GROUP] else _CREDENTIALS
        found += copy_image.with_credentials(facts, cinder, group)
    if has[_CREDENTIALS]:
        found += _locations(facts, cinder)
    else:
        found += decide_hidden(facts.glance, cinder)
    return found or [finding.passed('no backend needs credentials for Glance: none has '
                                    'rbd_glance_store_name')]


def _locations(facts: gather.Facts, cinder: config_files.ServiceConf) -> finding.Findings:
    """May ``[glance]`` of cinder.conf read the locations of an image (2025.2 and later)?"""
    where = cinder.where(_CREDENTIALS, 'auth_type')
    try:
        connection = copy_image.connection_of(cinder, _CREDENTIALS)
        image = copy_image.some_image(facts.cloud or live_glance.Cloud(connection))
        if image is None:
            return [copy_image.no_image(where)]
        return decide_locations(live_glance.may_read_locations(connection, image), where)
    except live_glance.Errors as error:
        return [finding.failure(str(error), where, 'Correct the credentials; Cinder uses them to find out '
                                'where an image is')]


def decide_locations(refused: str, where: str) -> finding.Findings:
    """Return what it means that Glance refuses Cinder's credentials an image's locations.

    :param refused: Glance's words; empty where it does not refuse
    """
    if not refused:
        return [finding.passed('the credentials in [%s] of cinder.conf may read locations' % _CREDENTIALS)]
    return [finding.failure(
        'the policy fetch_image_location of Glance refuses these credentials (%s): where Glance hides '
        'locations, Cinder downloads images that it could clone' % refused, where,
        'Give their user the role service, or the role that the policy names')]


def decide_hidden(glance: Optional[config_files.ServiceConf], cinder: config_files.ServiceConf
                  ) -> finding.Findings:
    """Return the RBD backends that cannot find out where an image is, and so never clone it."""
    if glance is None or glance.get('DEFAULT', 'show_multiple_locations') or glance.get(
            'DEFAULT', 'show_image_direct_url'):
        return []
    blind = [backend.name for backend in config_files.backends(cinder)
             if not backend.store and str(backend.get('volume_driver')).endswith('.rbd.RBDDriver')]
    return [finding.warning(
        'is not set, and Glance hides locations (show_multiple_locations and show_image_direct_url are '
        'false): the backends %s download each image, as they cannot see that it is in their cluster'
        % ', '.join(blind), cinder.where(_CREDENTIALS, 'auth_type'),
        'Set rbd_glance_store_name and rbd_glance_pool of these backends, or credentials with the role '
        'service in [glance] of cinder.conf (2025.2 and later)')] if blind else []
