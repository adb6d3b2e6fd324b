# SPDX-License-Identifier: Apache-2.0
"""Where the programs begin: a package that is missing is one line of error, not a stack trace."""

import importlib
import sys
import warnings

#: Names of packages that differ from those of their modules.
_PACKAGES = {'glanceclient': 'python-glanceclient', 'openstack': 'openstacksdk', 'yaml': 'PyYAML',
             'webob': 'WebOb'}


def hooks() -> int:
    """Run ``multistore-hooks``; return the exit code."""
    return _run('multistore-hooks', 'multistore_hooks.cli.main')


def status() -> int:
    """Run ``multistore-status``; return the exit code."""
    return _run('multistore-status', 'multistore_hooks.status.command')


def _run(program: str, module: str) -> int:
    if not sys.warnoptions:
        # What libraries warn their developers of, such as that a Python is old, does not concern an operator.
        warnings.simplefilter('ignore')
    try:
        return int(importlib.import_module(module).main())
    except ImportError as error:
        missing = (error.name or '').partition('.')[0]
        if missing in ('', 'multistore_hooks'):
            raise
        package = _PACKAGES.get(missing, missing.replace('oslo_', 'oslo.'))
        print('%s: the Python package %s is needed for this, and cannot be imported by %s (%s).' % (
            program, package, sys.executable, error), file=sys.stderr)
        return 2
