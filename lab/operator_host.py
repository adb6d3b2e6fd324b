# SPDX-License-Identifier: Apache-2.0
"""A clean environment as an operator has it: a service's Python, without the library, and a checkout.

    with Host(folder) as host:
        host.install()
        done = host.run(['multistore-hooks --version'])

It is a virtual environment of its own with pip. The libraries of the running environment are lent to it,
apart from this project's; of Nova and Cinder it has copies of what the patches touch, so that nothing
of the running environment is changed. It needs no network.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import typing
import uuid
import venv

from lab import checkout

OURS = ('multistore', '__editable__')
COPIED = {'nova': ('__init__.py', 'virt'), 'cinder': ('__init__.py', 'volume/manager.py')}
TIMEOUT_SECONDS = 300


class Done(typing.NamedTuple):
    """How a command ended."""

    line: str
    code: int
    printed: str


class Host:
    """The environment; use it as a context manager, or call make() and remove()."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.checkout = os.path.join(folder, 'multistore-hooks')
        self._venv = os.path.join(folder, 'venv')

    def __enter__(self) -> 'Host':
        return self.make()

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self) -> 'Host':
        """Make it, without the library."""
        venv.create(self._venv, with_pip=True, symlinks=True)
        packages = sysconfig.get_path('purelib', vars={'base': self._venv})
        self._lend(packages)
        for project, names in COPIED.items():
            self._copy(project, names, packages)
        self._copy_checkout()
        return self

    def install(self) -> None:
        """Install the library, as its documentation says."""
        done, = self.run(['pip install .'])
        if done.code:
            raise RuntimeError(done.printed)

    def run(self, lines: typing.Sequence[str], **environ: str) -> typing.List[Done]:
        """Run commands in one shell, in the checkout; return how each ended.

        What one command sets, the next one has. They go on after one that failed.
        """
        mark = uuid.uuid4().hex
        script = 'set -o pipefail\n' + ''.join(
            '%s\nprintf "\\n%s %%d\\n" "$?"\n' % (line, mark) for line in lines)
        done = subprocess.run(
            ['bash', '-c', script], cwd=self.checkout, env=self._environ(environ),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS, encoding='utf-8', errors='replace')
        pieces = done.stdout.split('\n%s ' % mark)
        found = []
        for number, line in enumerate(lines):
            code, _, rest = (pieces[number + 1] if number + 1 < len(pieces) else '%d\n' % done.returncode
                             ).partition('\n')
            found.append(Done(line, int(code), pieces[number] if number < len(pieces) else ''))
            if number + 1 < len(pieces):
                pieces[number + 1] = rest
        return found

    def _environ(self, more: typing.Mapping[str, str]) -> typing.Dict[str, str]:
        kept = {name: value for name, value in os.environ.items()
                if name in ('LANG', 'LC_ALL', 'TMPDIR', 'TERM')}
        path = os.pathsep.join([os.path.join(self._venv, 'bin'), os.path.join(self.folder, 'bin'),
                                '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'])
        return dict(kept, HOME=self.folder, PATH=path, PIP_DISABLE_PIP_VERSION_CHECK='1', PIP_NO_INDEX='1',
                    # pip reads it the other way round: this is without an isolated, fetched build.
                    PIP_NO_BUILD_ISOLATION='0', PIP_ROOT_USER_ACTION='ignore', PYTHONWARNINGS='ignore',
                    PYTHONDONTWRITEBYTECODE='1', COLUMNS='100', **more)

    def _lend(self, packages: str) -> None:
        """Let it find the running environment's libraries, but not ours and not the copied ones."""
        lent = os.path.join(self.folder, 'lent')
        os.makedirs(lent)
        own = sysconfig.get_path('purelib')
        hidden = OURS + tuple(COPIED)
        for name in os.listdir(own):
            if not name.lower().startswith(hidden) and name not in ('pip', 'setuptools'):
                os.symlink(os.path.join(own, name), os.path.join(lent, name))
        with open(os.path.join(packages, 'lent.pth'), 'w', encoding='utf-8') as stream:
            stream.write(lent + '\n')
        # The commands of the libraries, of which the documentation uses a few.
        os.makedirs(os.path.join(self.folder, 'bin'))
        for name in ('oslo-config-generator', 'nova-compute'):
            with open(os.path.join(os.path.dirname(sys.executable), name), encoding='utf-8') as stream:
                lines = stream.read().splitlines(True)
            path = os.path.join(self.folder, 'bin', name)
            with open(path, 'w', encoding='utf-8') as stream:
                stream.writelines(['#!%s\n' % os.path.join(self._venv, 'bin', 'python')] + lines[1:])
            os.chmod(path, 0o755)

    def _copy(self, project: str, names: typing.Sequence[str], packages: str) -> None:
        source = sysconfig.get_path('purelib')
        for name in names:
            target = os.path.join(packages, project, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            copy = shutil.copytree if os.path.isdir(os.path.join(source, project, name)) else shutil.copy2
            copy(os.path.join(source, project, name), target)
        metadata = '%s-%s.dist-info' % (project, importlib.metadata.version(project))
        shutil.copytree(os.path.join(source, metadata), os.path.join(packages, metadata))

    def _copy_checkout(self) -> None:
        checkout.copy(self.checkout)
        # What a release was installed with is here what this environment was. Setuptools is the host's own,
        # and not one of OpenStack's constraints.
        held = os.path.join(self.checkout, 'tests', 'constraints-services.txt')
        with open(held, encoding='utf-8') as stream:
            lines = [line for line in stream if not line.startswith('setuptools=')]
        with open(os.path.join(self.checkout, 'upper-constraints.txt'), 'w', encoding='utf-8') as stream:
            stream.writelines(lines)
