# SPDX-License-Identifier: Apache-2.0
"""Is the privsep-helper that is started as root the one of the service's own environment?

os-brick, and Nova and Cinder themselves, work as root through privsep-helper, started by rootwrap or by the
``helper_command`` of a section. rootwrap takes the first program of that name in its ``exec_dirs``. Where
that is another Python's, uploads fail with a 500, or worse: work, by other code.
"""

import configparser
import os
import shlex
import shutil
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Union

from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import options
from multistore_hooks.status import finding

HELPER = 'privsep-helper'
_DEFAULT_DIRS = '/sbin,/usr/sbin,/bin,/usr/bin,/usr/local/sbin,/usr/local/bin'


class Start(NamedTuple):
    """How a service starts the helper: by a command, or by rootwrap with this file."""

    service: str
    where: str
    command: Optional[str] = None
    rootwrap: str = ''
    #: The rootwrap.conf is named, and not the default.
    named: bool = False


class Helper(NamedTuple):
    """The program that is started, and where to change which."""

    path: str
    where: str
    change: str


def check_privsep(facts: gather.Facts) -> finding.Findings:
    """Is the interpreter that works as root the right one?"""
    found: finding.Findings = []
    for start in starts(facts):
        found += [one for one in _check(facts, start) if one not in found]
    return found or [finding.passed('no service or store in the given files works as root')]


def starts(facts: gather.Facts) -> List[Start]:
    """Return every way to start the helper that a configuration names or implies."""
    found: List[Start] = []
    glance = facts.glance
    if glance is not None:
        for store, kind in (glance.get('DEFAULT', 'enabled_backends') or {}).items():
            # The store driver of this library names the helper beside its own Python, unless
            # helper_command says otherwise.
            if kind == 'cinder' or kind == 'volume' and glance.get('privsep_osbrick', 'helper_command'):
                found += _starts('glance', glance, store)
    for name, conf in (('nova', facts.nova), ('cinder', facts.cinder)):
        if conf is not None:
            found += _starts(name, conf, 'DEFAULT')
    return found


def _starts(name: str, conf: config_files.ServiceConf, group: str) -> List[Start]:
    found = []
    rootwrap = Start(name, conf.where(group, 'rootwrap_config'), None,
                     conf.get(group, 'rootwrap_config'), conf.is_set(group, 'rootwrap_config'))
    for section in options.PRIVSEP[name]:
        command = conf.get(section, 'helper_command')
        start = Start(name, conf.where(section, 'helper_command'), command) if command else rootwrap
        if start not in found:
            found.append(start)
    return found


def _check(facts: gather.Facts, start: Start) -> finding.Findings:
    service = facts.service(start.service)
    helper = _by_command(start) if start.command else _by_rootwrap(start, bool(service.processes))
    if isinstance(helper, finding.Finding):
        return [helper]
    python = host.shebang(helper.path)
    if python is None:
        return [finding.undetermined('which Python %s is run by' % helper.path, helper.where)]
    try:
        helpers = host.describe(python)
    except host.Undetermined as error:
        return [finding.failure('%s would be started, but %s' % (helper.path, error), helper.where,
                                helper.change)]
    return decide(helper, helpers, service, start.service)


def _by_command(start: Start) -> Union[Helper, finding.Finding]:
    """Return the helper that a helper_command starts, or what is wrong with it."""
    try:
        words = shlex.split(start.command or '')
    except ValueError as error:
        return finding.failure('is not a command: %s' % error, start.where, 'Correct it')
    names = [os.path.basename(word) for word in words]
    if HELPER not in names:
        return finding.undetermined('what %s starts' % start.command, start.where)
    word = words[names.index(HELPER)]
    conf = [before for before in words[:names.index(HELPER)] if before.endswith('.conf')]
    if '/' not in word and conf:
        return _by_rootwrap(start._replace(rootwrap=conf[-1], named=True), True)
    path = word if '/' in word else shutil.which(word) or ''
    if not os.path.isfile(path):
        return finding.failure('starts %s, which does not exist' % word, start.where,
                               'Name the %s of the environment of %s' % (HELPER, start.service))
    return Helper(path, start.where, 'Name the %s of the environment of %s' % (HELPER, start.service))


def _by_rootwrap(start: Start, running: bool) -> Union[Helper, finding.Finding]:
    """Return the helper that rootwrap starts, or what is wrong with its configuration."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        with open(start.rootwrap, encoding='utf-8', errors='replace') as stream:
            parser.read_file(stream)
    except OSError as error:
        # A deployment host has the services' files, and not always rootwrap's.
        say = finding.failure if start.named and running else finding.passed
        return say('%s does not exist: %s' % (start.rootwrap, error.strerror), start.where)
    except configparser.Error as error:
        return finding.failure('cannot be read: %s' % ' '.join(str(error).split()), start.rootwrap,
                               'Correct it')
    dirs = parser.get('DEFAULT', 'exec_dirs', fallback=_DEFAULT_DIRS).split(',')
    change = 'Put the folder with the %s of %s first in [DEFAULT] exec_dirs' % (HELPER, start.service)
    path = first(HELPER, dirs)
    if path is None:
        return finding.failure('%s is in none of its exec_dirs: %s' % (
            HELPER, ', '.join(folder.strip() for folder in dirs)), start.rootwrap, change)
    return Helper(path, start.rootwrap, change)


def decide(helper: Helper, helpers: host.Interpreter, service: gather.Service, name: str
           ) -> finding.Findings:
    """Compare the helper's interpreter with the service's."""
    own = service.interpreter
    if own is not None and os.path.realpath(helpers.prefix) != os.path.realpath(own.prefix):
        return [finding.failure(
            'starts %s, whose Python is in %s; %s itself runs in %s, and works as root with another '
            'os-brick, or with none' % (helper.path, helpers.prefix, name, own.prefix), helper.where,
            '%s: %s' % (helper.change, os.path.join(own.prefix, 'bin')))]
    if helpers.folder('os_brick') is None:
        return [finding.failure('starts %s, whose Python (%s) has no os_brick'
                                % (helper.path, helpers.prefix), helper.where,
                                '%s, or install os-brick there' % helper.change)]
    return [finding.passed('starts %s, with os-brick %s' % (
        helper.path, helpers.release_of('os-brick') or 'of an unknown version'), helper.where)]


def first(program: str, dirs: List[str]) -> Optional[str]:
    """Return the first executable file of a name in folders, or None."""
    for folder in dirs:
        path = os.path.join(folder.strip(), program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None
