# SPDX-License-Identifier: Apache-2.0
"""``multistore-status upgrade check``: is this site set up as its configuration says?"""

import argparse
import json
import logging
import os
import sys
import textwrap
import traceback
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from oslo_upgradecheck import upgradecheck
import prettytable

from multistore_hooks.cli import session
from multistore_hooks.cli import text
from multistore_hooks.cli import version
from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import ceph
from multistore_hooks.status.checks import ceph_users
from multistore_hooks.status.checks import cinder_backends
from multistore_hooks.status.checks import copy_image
from multistore_hooks.status.checks import glanceclients
from multistore_hooks.status.checks import hooks
from multistore_hooks.status.checks import image_formats
from multistore_hooks.status.checks import limits
from multistore_hooks.status.checks import pipeline
from multistore_hooks.status.checks import pool_contents
from multistore_hooks.status.checks import privsep
from multistore_hooks.status.checks import shared_directories
from multistore_hooks.status.checks import site_images
from multistore_hooks.status.checks import stores
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding

#: As oslo.upgradecheck: 0 to 2 are the worst finding's.
INTERNAL_ERROR = 255
_WIDTH = 92
_READERS = {'nova': config_files.read_nova,
            'cinder': config_files.read_cinder, 'glance': config_files.read_glance}
#: Read where no file is named at all.
DEFAULT_FILES = {'nova': '/etc/nova/nova.conf', 'cinder': '/etc/cinder/cinder.conf',
                 'glance': '/etc/glance/glance-api.conf'}

Check = Callable[[gather.Facts], finding.Findings]


def check_files(facts: gather.Facts) -> finding.Findings:
    """Could the files be read, and is every value of its type?"""
    found = list(facts.problems)
    for conf in facts.confs:
        for wrong in conf.wrong_values():
            hint = ('Write it as [a,b], with the brackets' if 'enabled_import_methods' in wrong.where
                    else 'Correct it; the service does not start with it, or fails when it reads it')
            found.append(finding.failure(wrong.why, wrong.where, hint))
    names = [file for conf in facts.confs for file in conf.files]
    return found or [finding.passed('read: ' + (', '.join(names) or 'none was given'))]


def check_responds(facts: gather.Facts) -> finding.Findings:
    """Can Glance be reached?"""
    if facts.cloud is None:
        return [facts.no_cloud] if facts.no_cloud else [finding.skipped('Glance was not queried')]
    return [finding.passed('Glance at %s accepts the credentials of %s'
                           % (facts.cloud.url, facts.cloud.connection.source))]


CHECKS: Tuple[Tuple[str, Check], ...] = (
    ('Configuration files', check_files),
    ('Glance responds', check_responds),
    ('Glance has several stores', stores.check_several),
    ('Stores that are named', stores.check_named),
    ('Drivers of the stores', stores.check_drivers),
    ('Places of the stores', shared_directories.check_directories),
    ('copy-image', copy_image.check_copy_image),
    ('Ceph cluster of this compute', ceph.check_cluster),
    ('Ceph clusters of Cinder', ceph.check_backends),
    ('Ceph users', ceph_users.check_users),
    ('Copies in the pools', pool_contents.check_contents),
    ('Site images', site_images.check_site_images),
    ('Space for copies', limits.check_staging),
    ('Limits of Glance', limits.check_limits),
    ('Hook in nova-compute', hooks.check_nova),
    ('Hooks in Cinder', hooks.check_cinder),
    ('Drivers of Cinder', cinder_backends.check_drivers),
    ('Credentials of Cinder', cinder_backends.check_credentials),
    ('Filter in Glance', pipeline.check_filter),
    ('Images that cannot be cloned', image_formats.check_raw),
    ('rootwrap and privsep', privsep.check_privsep),
    ('glanceclient', glanceclients.check_glanceclient),
)


class MultistoreChecks(upgradecheck.UpgradeCommands):  # type: ignore[misc]
    """oslo.upgradecheck's commands over `CHECKS`."""

    display_title = 'multistore-status upgrade check'

    def __init__(self, facts: gather.Facts) -> None:
        super().__init__()
        self._upgrade_checks = tuple((name, _bound(check, facts)) for name, check in CHECKS)

    def check(self) -> int:
        """Print oslo.upgradecheck's table, and how many of the checks were skipped; return the exit code.

        The base class knows no skipped checks.
        """
        results = self._results()
        table = prettytable.PrettyTable([self.display_title], hrules=prettytable.ALL)
        table.align = 'l'
        for name, result in results:
            word = 'Skipped' if result.skipped else upgradecheck.UPGRADE_CHECK_MSG_MAP[result.code]
            table.add_row(['Check: %s\nResult: %s\nDetails: %s' % (name, word, self._get_details(result))])
        print(table)
        print('%d of %d checks done, %d skipped' % (
            sum(not result.skipped for _name, result in results), len(results),
            sum(result.skipped for _name, result in results)))
        return max(int(result.code) for _name, result in results)

    def _results(self) -> List[Tuple[str, finding.Result]]:
        return [(name, check(self)) for name, check in self._upgrade_checks]

    def _get_details(self, upgrade_check_result: upgradecheck.Result) -> Optional[str]:
        lines: List[str] = []
        for line in (upgrade_check_result.details or '').splitlines():
            # Paths and addresses are to be copied from here: they stay whole.
            # What Glance and Cinder say of images and projects may come from users.
            lines += textwrap.wrap('- ' + text.escaped(line), _WIDTH, subsequent_indent='  ',
                                   break_long_words=False, break_on_hyphens=False)
        return '\n'.join([''] + lines) if lines else None

    def check_json(self) -> int:
        """Print the results as oslo.upgradecheck's JSON; return the exit code.

        The base class prints it only for its own command line, which knows no files of others.
        """
        results = self._results()
        print(json.dumps({'name': self.display_title, 'checks': [
            {'check': name, 'result': int(result.code), 'details': result.details}
            for name, result in results]}))
        return max(int(result.code) for name, result in results)


def _bound(check: Check, facts: gather.Facts) -> Callable[[Any], finding.Result]:
    def run(_commands: Any) -> finding.Result:
        try:
            return finding.Result(check(facts))
        except live_glance.Errors as error:
            return finding.Result([finding.undetermined('this: Glance responds with %s' % error)])

    return run


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog='multistore-status', description='Check a site of several Glance stores.')
    made.add_argument('--version', action='version', version=version.find())
    made.add_argument('--debug', action='store_true', help='show where an internal error came from')
    commands = made.add_subparsers(metavar='upgrade', dest='group')
    upgrade = commands.add_parser('upgrade', help='upgrade check: the only command')
    verbs = upgrade.add_subparsers(metavar='check', dest='command')
    verbs.required = True   # add_subparsers takes it from Python 3.7 on
    check = verbs.add_parser(
        'check', help='check; nothing is changed',
        description='Read the configuration files of Nova, Cinder and Glance, ask Glance and Ceph, and '
                    'report what is inconsistent. Nothing is changed.',
        epilog='Exit code: 0 success (skipped checks included), 1 a warning, 2 a failure, 255 the check '
               'itself failed or was called wrongly.')
    check.add_argument('--json', action='store_true', help='print JSON, as other status commands do')
    for service, file in sorted(DEFAULT_FILES.items()):
        check.add_argument(
            '--%s-conf' % service, metavar='PATH', action='append', default=[],
            help='file or directory that %s reads, repeatable; FILE.d beside FILE is read too (default, if '
                 'no file is named at all: %s)' % (service.capitalize(), file))
    for service in sorted(DEFAULT_FILES):
        check.add_argument(
            '--%s-python' % service, metavar='PROGRAM',
            help='the Python that runs %s (default: found among the processes, then on PATH)'
                 % service.capitalize())
    session.add_options(check)
    return made


def read_facts(options: argparse.Namespace) -> gather.Facts:
    """Read the files that the options name, and connect to Glance; what fails becomes a finding."""
    named = {service: getattr(options, service + '_conf') for service in DEFAULT_FILES}
    if not any(named.values()):
        named = {service: [file] if os.path.exists(file) else []
                 for service, file in DEFAULT_FILES.items()}
    problems: finding.Findings = []
    confs: Dict[str, Optional[config_files.ServiceConf]] = {}
    for service, paths in named.items():
        confs[service] = None
        try:
            if paths:
                confs[service] = _READERS[service](paths)
        except config_files.Unreadable as error:
            problems.append(finding.failure(str(error), '', 'Name a file that is there and can be read '
                                            'with --%s-conf' % service))
    cloud, no_cloud = _connect(options, confs['nova'])
    if cloud is not None:
        cloud, no_cloud = _asked(cloud)
    return gather.Facts(
        nova=confs['nova'], cinder=confs['cinder'], glance=confs['glance'], cloud=cloud,
        problems=problems, no_cloud=no_cloud,
        pythons={service: getattr(options, service + '_python') for service in DEFAULT_FILES})


def _connect(options: argparse.Namespace, nova: Optional[config_files.ServiceConf]
             ) -> Tuple[Optional[live_glance.Cloud], Optional[finding.Finding]]:
    """Return Glance, by the operator's credentials or else by nova.conf's; or why there is none."""
    given = (any(value for name, value in vars(options).items() if name.startswith('os_'))
             or any(name.startswith('OS_') for name in os.environ))
    try:
        return live_glance.Cloud(session.connect(options)), None
    except session.CloudError as error:
        refused = error
    if given:
        return None, finding.failure(str(refused))
    if nova is not None and nova.get(gather.GROUP, 'auth_type'):
        try:
            return live_glance.Cloud(copy_image.connection_of(nova, gather.GROUP)), None
        except session.CloudError as error:
            return None, finding.failure(str(error))
    return None, finding.warning('Glance was not queried, because there are no credentials', '',
                                 'Give --os-cloud NAME, or set the variables OS_*')


def _asked(cloud: live_glance.Cloud) -> Tuple[Optional[live_glance.Cloud], Optional[finding.Finding]]:
    """Return Glance if it responds; the checks do with the files alone where it does not."""
    try:
        cloud.images()
    except session.CloudError as error:
        return None, finding.failure(str(error))
    except api.GlanceError as error:
        return None, finding.failure('Glance at %s responds with %s' % (cloud.url, error))
    return cloud, None


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    :param argv: the arguments; default: those of the process
    :returns: the exit code
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    text.show_everything()
    made = parser()
    try:
        options = made.parse_args(arguments)
    except SystemExit as stop:
        # 2, argparse's own code, would say that a check failed.
        return INTERNAL_ERROR if stop.code else 0
    if options.group is None:
        made.print_help()
        return 0
    if not options.debug:
        # What libraries log on the way would stand among the results, on standard error.
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        facts = read_facts(options)
        try:
            commands = MultistoreChecks(facts)
            return commands.check_json() if options.json else commands.check()
        finally:
            facts.pools.close()
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 130
    except Exception as error:  # one line for the user, not a stack trace
        if options.debug:
            traceback.print_exc()
        print('multistore-status: internal error: %s: %s (multistore-status --debug shows more)'
              % (type(error).__name__, error), file=sys.stderr)
        return INTERNAL_ERROR


if __name__ == '__main__':
    sys.exit(main())
