# SPDX-License-Identifier: Apache-2.0
"""``zuul_jobs.py SERVICES_DIR``: the local.conf of each job in .zuul.yaml, as reStructuredText.

Merges the variables of a job with those of its parents, as Zuul does, and has devstack's own role write
local.conf from them. Parents are read from the clones (or git directories without a work tree) of devstack,
tempest, nova and devstack-plugin-ceph in SERVICES_DIR.
"""

import os
import subprocess
import sys
import types
import typing

import yaml

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPOSITORIES = ('devstack', 'tempest', 'nova', 'devstack-plugin-ceph')
ROLE = 'roles/write-devstack-local-conf/library/devstack_local_conf.py'
BASE_DIR = '/opt/stack'

Vars = typing.Dict[str, typing.Any]


class Loader(yaml.SafeLoader):
    """Reads Zuul's files, whose tags for secrets are of no interest."""


Loader.add_multi_constructor('!', lambda loader, suffix, node: suffix)


def own() -> typing.List[Vars]:
    """Return what this project's .zuul.yaml defines."""
    with open(os.path.join(CHECKOUT, '.zuul.yaml'), encoding='utf-8') as stream:
        found: typing.List[Vars] = yaml.load(stream, Loader)  # noqa: S506, of SafeLoader
    return found


def own_jobs() -> typing.Dict[str, Vars]:
    """Return this project's jobs by name, in their order."""
    return {item['job']['name']: item['job'] for item in own() if 'job' in item}


def _git(repository: str, *words: str) -> str:
    return subprocess.run(['git', '-c', 'safe.directory=*', '-C', repository, *words], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True).stdout


class Checkouts:
    """The repositories that the parents are in."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._jobs: typing.Dict[str, Vars] = {}
        for name in REPOSITORIES:
            for text in self._texts(name):
                for item in yaml.load(text, Loader) or []:  # noqa: S506
                    if 'job' in item:
                        # The first variant is that of the newest branch.
                        self._jobs.setdefault(item['job']['name'], item['job'])

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _texts(self, name: str) -> typing.Iterator[str]:
        listed = _git(self._path(name), 'ls-tree', '-r', '--name-only', 'HEAD', '.zuul.yaml', 'zuul.d/')
        for path in listed.split():
            if path.endswith('.yaml'):
                yield _git(self._path(name), 'show', 'HEAD:' + path)

    def commits(self) -> typing.Dict[str, str]:
        """Return the short commits by name."""
        return {name: _git(self._path(name), 'rev-parse', '--short=8', 'HEAD').strip()
                for name in REPOSITORIES}

    def chain(self, name: str) -> typing.List[Vars]:
        """Return a job and its parents, the oldest first, so far as they are in these repositories."""
        found: typing.List[Vars] = []
        jobs = dict(self._jobs, **own_jobs())
        while name in jobs:
            found.insert(0, jobs[name])
            name = jobs[name].get('parent', '')
        return found

    def role(self) -> typing.Any:
        """Return the module of devstack that writes local.conf."""
        module = types.ModuleType('devstack_local_conf')
        exec(_git(self._path('devstack'), 'show', 'HEAD:' + ROLE), module.__dict__)  # noqa: S102
        return module


def merged(chain: typing.Sequence[Vars]) -> Vars:
    """Return the variables of a job: a parent's dictionaries are merged with its, all else is replaced."""
    result: Vars = {}
    for job in chain:
        result = _update(result, job.get('vars', {}))
    return result


def _update(old: typing.Any, new: typing.Any) -> typing.Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _update(old.get(key), value) for key, value in new.items()}}


def local_conf(role: typing.Any, variables: Vars) -> str:
    """Return local.conf, as devstack's role writes it; without the names of repositories on the node."""
    # Zuul hands numbers and booleans over as Ansible's texts.
    localrc = {name: value if isinstance(value, str) else str(value)
               for name, value in variables.get('devstack_localrc', {}).items()}
    made = role.LocalConf(localrc, variables.get('devstack_local_conf'), None,
                          dict(variables.get('devstack_services', {})), variables.get('devstack_plugins'),
                          None, None, None, None)
    plugins = ' '.join(os.path.join(BASE_DIR, name) for name in variables.get('tempest_plugins', ()))
    lines = ['[[local|localrc]]'] + made.localrc + ['TEMPEST_PLUGINS="%s"' % plugins, '']
    for section, text in made.meta_sections.items():
        lines += [section] + text
    return '\n'.join(lines).rstrip() + '\n'


def page(checkouts: Checkouts) -> str:
    """Return the documents of all jobs, as reStructuredText."""
    commits = ', '.join('%s %s' % item for item in checkouts.commits().items())
    lines = ['.. Made by tools/zuul_jobs.py, of: %s' % commits, '']
    for name, job in own_jobs().items():
        if job.get('abstract'):
            continue
        chain = checkouts.chain(name)
        variables = merged(chain)
        lines += ['``%s``' % name, '-' * (len(name) + 4), '']
        lines += ['Parents: %s. Swap: %s MiB. Tests at a time: %s. Limit: %s s.' % (
            ', '.join('``%s``' % one['name'] for one in reversed(chain[:-1])),
            variables.get('configure_swap_size', 0), variables.get('tempest_concurrency', "tempest's own"),
            next(one['timeout'] for one in reversed(chain) if 'timeout' in one)), '']
        lines += ['.. code-block:: text', '']
        lines += [('    ' + line).rstrip() for line in local_conf(checkouts.role(), variables).splitlines()]
        lines += ['']
    return '\n'.join(lines)


if __name__ == '__main__':
    print(page(Checkouts(sys.argv[1])), end='')
