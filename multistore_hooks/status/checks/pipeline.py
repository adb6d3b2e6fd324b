# SPDX-License-Identifier: Apache-2.0
"""Is the Glance filter in the pipeline that is in use, after the context, and does Glance say so?"""

import os
from typing import Optional
from typing import Tuple

from multistore_hooks.status.checks import hooks
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status.facts import paste
from multistore_hooks.status import finding

_SECTION = '[filter:base_image] with paste.filter_factory = ' + paste.FILTER


def check_filter(facts: gather.Facts) -> finding.Findings:
    """Is the filter active?"""
    live = _announced(facts)
    if facts.glance is None:
        if live is None:
            return [finding.skipped('neither Glance was queried nor --glance-conf '
                                    'given')]
        return [finding.passed('Glance %s the filter' % ('announces' if live else 'does not announce'))]
    path = paste_file(facts.glance)
    where = facts.glance.where('paste_deploy', 'config_file')
    if path is None or not os.path.isfile(path):
        return [finding.failure('the paste file %s does not exist' % (path or 'glance-api-paste.ini'),
                                where, 'Name the file that Glance reads')]
    try:
        sections = paste.read(path)
    except paste.Unreadable as error:
        return [finding.failure(str(error), where, 'Correct it; Glance does not start with it')]
    found, there = decide_filter(sections, facts.glance.get('paste_deploy', 'flavor'), path)
    service = facts.service('glance')
    if there:
        found += _library(service, path)
        found += hooks.stale(facts.glance, service, [path])
        if live is False:
            assert facts.cloud is not None
            found.append(finding.failure(
                'has the filter, but the running Glance at %s does not announce it' % facts.cloud.url,
                path, 'Restart Glance if the file was changed since; else check which paste file and '
                'flavor that Glance uses'))
    elif live and paste.pipelines(sections, facts.glance.get('paste_deploy', 'flavor')):
        found = [finding.failure(
            'the running Glance announces the filter, but this file does not have it in its pipeline: '
            'it is not what Glance runs with, or the filter is gone after the next restart', path,
            'Name the right --glance-conf, or put the filter in')]
    return found or [finding.passed('%s: the filter is in the pipeline%s' % (
        path, ', and the running Glance announces it' if live else ''))]


def _announced(facts: gather.Facts) -> Optional[bool]:
    """Return whether the running Glance says that the filter is in it; None where it is not known."""
    try:
        return facts.cloud.stores().follows_base_image if facts.cloud is not None else None
    except live_glance.Errors:
        return None


def decide_filter(sections: paste.Sections, flavor: Optional[str], path: str
                  ) -> Tuple[finding.Findings, bool]:
    """Return what is wrong with the pipelines of a paste file, and whether the filter is in them."""
    ways = paste.pipelines(sections, flavor)
    if not ways:
        return [finding.failure("has no application for the flavor '%s'" % (flavor or ''), path,
                                'Correct [paste_deploy] flavor in glance-api.conf')], False
    concerned = [way for way in ways if any(paste.is_context(sections, name) for name in way)] or ways
    found, there = [], False
    for way in concerned:
        ours = [position for position, name in enumerate(way) if paste.is_ours(sections, name)]
        context = [position for position, name in enumerate(way) if paste.is_context(sections, name)]
        there = there or bool(ours)
        if ours and context and min(ours) < max(context):
            found.append(finding.failure(
                'has %s before %s in the pipeline %s: it would act without the rights of the caller'
                % (way[ours[0]], way[context[-1]], ' '.join(way)), path,
                'Put %s after %s' % (way[ours[0]], way[context[-1]])))
        if ours[1:]:
            found.append(finding.failure('has the filter twice in the pipeline %s' % ' '.join(way), path,
                                         'Remove one'))
        if not ours:
            found.append(_absent(sections, way, path, flavor))
    return found, there


def _absent(sections: paste.Sections, way: Tuple[str, ...], path: str, flavor: Optional[str]
            ) -> finding.Finding:
    names = paste.names_of_ours(sections)
    change = "Put %s into it, after the context filter%s" % (
        names[0] if names else 'base_image', '' if names else ', and define ' + _SECTION)
    what = "the pipeline of the flavor '%s' has no filter of multistore_hooks: %s" % (
        flavor or '', ' '.join(way))
    if names:
        return finding.failure('%s; the file defines it, as %s' % (what, ', '.join(names)), path, change)
    return finding.warning(what + ". Stock Cinder and stock Nova then do not follow the base image",
                           path, change)


def _library(service: gather.Service, path: str) -> finding.Findings:
    if service.interpreter is None:
        return []  # what Glance announces says more
    if service.interpreter.folder('multistore_hooks') is None:
        python = service.interpreter.python
        return [finding.failure('names the filter, but %s (%s) has no multistore_hooks'
                                % (python, service.how), path, hooks.INSTALL % python)]
    return []


def paste_file(glance: config_files.ServiceConf) -> Optional[str]:
    """Return the paste file that Glance reads, by its own rules; it may not exist."""
    named = glance.get('paste_deploy', 'config_file')
    if named:
        return os.path.abspath(str(named))
    if not glance.files:
        return None
    last = glance.files[-1]
    name = os.path.basename(last.replace('.conf', '-paste.ini'))
    for folder in [os.path.dirname(last), '/etc/glance', '/usr/share/glance']:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    return os.path.join(os.path.dirname(last), name)
