# SPDX-License-Identifier: Apache-2.0
"""Is Glance's copy-image enabled, and may the configured credentials use it?"""

import os
from typing import Any
from typing import Dict
from typing import List
from typing import Optional

import yaml

from multistore_hooks.cli import session
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding

_RULE = 'copy_image'
_HOW = ("Allow it in the policy file of Glance: 'copy_image: \"role:admin or service_roles:service\"', "
        'with [service_user] send_service_user_token = true in %(file)s; or set credentials of an '
        'administrator in [multistore_hooks] of %(file)s')


def check_copy_image(facts: gather.Facts) -> finding.Findings:
    """Is copy-image enabled, and may the configured credentials use it?"""
    wanted = bool(facts.compute_store)
    found = _enabled(facts, wanted)
    if any(one.code for one in found):
        return found
    found += _nova_may(facts) if wanted else []
    found += _operator_may(facts)
    if not wanted:
        found.append(finding.passed('no compute requests copies: [libvirt] images_rbd_glance_store_name '
                                    'is not set in a nova.conf that was given'))
    return found


def _enabled(facts: gather.Facts, wanted: bool) -> finding.Findings:
    say = finding.failure if wanted else finding.warning
    where = 'glance-api.conf, [DEFAULT] enabled_import_methods'
    if facts.glance is not None:
        where = facts.glance.where('DEFAULT', 'enabled_import_methods')
        # A value without brackets is among the wrong values, which another check reports.
        if 'copy-image' not in facts.glance.get('DEFAULT', 'enabled_import_methods'):
            return [say("copy-image is not enabled", where,
                        'Add copy-image inside the brackets, as in [glance-direct,copy-image], and '
                        'restart Glance')]
    if facts.cloud is None:
        return []
    methods = facts.cloud.import_methods()
    if 'copy-image' in methods:
        return []
    return [say('the running Glance at %s has no copy-image; it has: %s'
                % (facts.cloud.url, ', '.join(methods) or 'no import at all'), where,
                'Add copy-image inside the brackets, as in [glance-direct,copy-image], and restart '
                'Glance; it takes Ussuri or later')]


def _nova_may(facts: gather.Facts) -> finding.Findings:
    """May Nova have images copied, with the rights that it will have?"""
    nova = facts.nova
    assert nova is not None
    if nova.get(gather.GROUP, 'auth_type') or nova.get(gather.GROUP, 'auth_section'):
        return with_credentials(facts, nova, gather.GROUP)
    return with_token_of_user(facts, nova, 'the user who boots the server')


def with_token_of_user(facts: gather.Facts, conf: config_files.ServiceConf, user: str) -> finding.Findings:
    """May a service have images copied with a user's token, and its own service token if it sends one?"""
    where = conf.where('service_user', 'send_service_user_token')
    if not conf.get('service_user', 'send_service_user_token'):
        rule = copy_rule(facts.glance)
        if rule is not None and open_to_all(rule):
            return [finding.passed("Glance's policy lets everybody copy")]
        return [finding.failure(
            '%s requests copies with nothing but the token of %s; the policy %s of Glance refuses that by '
            'default (administrators only)' % (conf.service.capitalize(), user, _RULE), where,
            _how(conf.service))]
    return decide_service_token(copy_rule(facts.glance), where,
                                facts.glance is not None and policy_file(facts.glance), conf.service)


def _how(service: str) -> str:
    return _HOW % {'file': service + '.conf'}


def decide_service_token(rule: Optional[str], where: str, file: Any, service: str = 'nova'
                         ) -> finding.Findings:
    """Return whether a request with a service token passes, by the policy's text.

    :param rule: the rule copy_image; None where it was not read
    :param file: the policy file, if Glance's configuration was given
    :param service: whose token it is
    """
    named = service.capitalize()
    if rule is None and not file:
        return [finding.undetermined(
            'whether the policy %s of Glance accepts the service token of %s: the policy decides it, and '
            'a request from here would carry the rights of whoever runs this check' % (_RULE, named), where,
            'Give --glance-conf where Glance runs, or check its policy file: the rule has to have '
            'service_roles:service')]
    if rule is None:
        return [finding.failure('does not name %s, whose default is administrators only' % _RULE,
                                str(file), _how(service))]
    if open_to_all(rule) or 'service_roles:service' in rule.replace(' ', ''):
        return [finding.passed('the policy %s accepts the service token of %s: "%s"' % (_RULE, named, rule))]
    return [finding.failure('%s is "%s", which no service token satisfies' % (_RULE, rule), str(file),
                            _how(service))]


def with_credentials(facts: gather.Facts, conf: config_files.ServiceConf, group: str) -> finding.Findings:
    """May the credentials in a section of a service's configuration have images copied?"""
    where = conf.where(group, 'auth_type')
    try:
        connection = connection_of(conf, group)
        image = some_image(facts.cloud or live_glance.Cloud(connection))
        if image is None:
            return [no_image(where)]
        answer, said = live_glance.may_copy(connection, image)
    except live_glance.Errors as error:
        return [finding.failure(str(error), where, 'Correct the credentials; without them no image is '
                                'copied')]
    if answer == live_glance.YES:
        return [finding.passed('the credentials in %s.conf may have images copied' % conf.service)]
    if answer == live_glance.NO:
        return [finding.failure('the policy %s of Glance refuses these credentials: %s' % (_RULE, said),
                                where, 'Give their user the role admin, or name a role of theirs in the '
                                'policy %s in the policy file of Glance' % _RULE)]
    return [finding.undetermined('whether these credentials may request copies: %s' % said, where)]


def _operator_may(facts: gather.Facts) -> finding.Findings:
    """May the user of this check have images copied, as multistore-hooks image copy does?"""
    if facts.cloud is None:
        return [finding.skipped('Glance was not queried')]
    image = some_image(facts.cloud)
    if image is None:
        return [finding.passed('whether the credentials of %s may copy cannot be determined without an '
                               'active image' % facts.cloud.connection.source)]
    answer, said = live_glance.may_copy(facts.cloud.connection, image)
    source = facts.cloud.connection.source
    if answer == live_glance.YES:
        return [finding.passed('the credentials of %s may have images copied' % source)]
    if answer == live_glance.NO:
        return [finding.passed('the credentials of %s may not have images copied (policy %s), which '
                               'multistore-hooks image copy needs' % (source, _RULE))]
    return [finding.passed('whether the credentials of %s may copy cannot be determined: %s'
                           % (source, said))]


def no_image(where: str) -> finding.Finding:
    return finding.undetermined('whether these credentials may request copies, since there is no active '
                                'image to request', where, 'Upload one, and check again')


def some_image(cloud: live_glance.Cloud) -> Optional[str]:
    """Return an image to send a request about: active, with formats, and no import working on it."""
    for image in cloud.images():
        if (image.get('status') == 'active' and not image.get('os_glance_import_task')
                and image.get('disk_format') and image.get('container_format')):
            return str(image['id'])
    return None


def connection_of(conf: config_files.ServiceConf, group: str) -> session.Connection:
    """Return a connection with the credentials in a section of nova.conf or cinder.conf.

    :raises session.CloudError: they are not complete
    """
    return session.connection_from_conf(
        conf.conf, group, _endpoint(conf),
        '[%s] in %s' % (group, ', '.join(conf.files) or conf.service + '.conf'))


def _endpoint(conf: config_files.ServiceConf) -> session.Endpoint:
    if conf.service == 'cinder':
        servers = conf.get('DEFAULT', 'glance_api_servers')
        # <service type>:<service name>:<endpoint type>
        info = str(conf.get('DEFAULT', 'glance_catalog_info')).split(':')
        interface = info[2].replace('URL', '') if len(info) == 3 else None
        return session.Endpoint(conf.get('glance', 'region_name'), interface or None,
                                servers[0] if servers else None, info[0] or 'image')
    interfaces = conf.get('glance', 'valid_interfaces')
    servers = conf.get('glance', 'api_servers')
    return session.Endpoint(conf.get('glance', 'region_name'), interfaces[0] if interfaces else None,
                            conf.get('glance', 'endpoint_override') or (servers[0] if servers else None),
                            conf.get('glance', 'service_type'))


def policy_file(glance: config_files.ServiceConf) -> Optional[str]:
    """Return the policy file that Glance reads, or None where there is none."""
    folders = [os.path.dirname(path) for path in glance.files] + ['/etc/glance']
    named = glance.get('oslo_policy', 'policy_file')
    for name in [named] if named else ['policy.yaml', 'policy.json']:
        for folder in folders:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    return None


def copy_rule(glance: Optional[config_files.ServiceConf]) -> Optional[str]:
    """Return the text of the policy copy_image, names of other rules put in; None where none is set."""
    if glance is None:
        return None
    rules: Dict[str, Any] = {}
    for path in _policy_files(glance):
        try:
            with open(path, encoding='utf-8') as stream:
                read = yaml.safe_load(stream)
        except (OSError, ValueError, yaml.YAMLError):
            continue
        rules.update(read if isinstance(read, dict) else {})
    return None if _RULE not in rules else _expanded(str(rules[_RULE] or ''), rules)


def _policy_files(glance: config_files.ServiceConf) -> List[str]:
    main = policy_file(glance)
    found = [main] if main else []
    folders = [os.path.dirname(path) for path in glance.files] + ['/etc/glance']
    for name in glance.get('oslo_policy', 'policy_dirs'):
        for folder in folders:
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                found += [os.path.join(path, file) for file in sorted(os.listdir(path))
                          if not file.startswith('.')]
                break
    return found


def _expanded(rule: str, rules: Dict[str, Any], depth: int = 5) -> str:
    words = []
    for word in rule.split():
        name = word.strip('()')[len('rule:'):] if word.strip('()').startswith('rule:') else None
        if name in rules and depth:
            word = '(%s)' % _expanded(str(rules[name]), rules, depth - 1)
        words.append(word)
    return ' '.join(words)


def open_to_all(rule: str) -> bool:
    """Return whether every request passes a rule."""
    return rule.strip() in ('', '@')
