# SPDX-License-Identifier: Apache-2.0
"""Which folder of the package may import which: the plan of doc/source/contributor/architecture.rst."""

import ast
import glob
import os
import unittest

import multistore_hooks

PACKAGE = os.path.dirname(os.path.abspath(multistore_hooks.__file__))
NAME = 'multistore_hooks'

#: What each folder may import of the package, besides itself. A name without a folder is a file beside them.
BASE = {'i18n', 'exceptions', 'backoff', 'options'}
ALLOWED = {
    'i18n': set(),
    'exceptions': {'i18n'},
    'backoff': set(),
    'options': set(),
    'glance_api': {'i18n', 'exceptions', 'backoff'},
    'patching': {'i18n', 'exceptions'},
    'upload': BASE | {'glance_api'},
    'copy': BASE | {'glance_api', 'upload'},
    'ceph': BASE | {'glance_api', 'copy'},
    'nova': BASE | {'glance_api', 'upload', 'copy', 'ceph'},
    'cinder': BASE | {'glance_api', 'upload', 'copy', 'ceph'},
    'glance': BASE | {'glance_api', 'upload'},
    'volume_store': BASE,
    'stores': BASE | {'glance_api', 'copy', 'ceph'},
    'cli': BASE | {'glance_api', 'upload', 'copy', 'ceph', 'stores', 'patching'},
    'status': BASE | {'glance_api', 'upload', 'patching', 'cli', 'ceph', 'stores'},
}
#: A service's own modules are imported in its folder alone.
SERVICES = {'nova': {'nova'}, 'cinder': {'cinder'}, 'glance': {'glance'}, 'glance_store': {'volume_store'},
            'os_brick': {'volume_store'}}


def room_of(path):
    """Return the folder of a file of the package, or the name of a file that is in none."""
    return os.path.relpath(path, PACKAGE).split(os.sep)[0].replace('.py', '')


def imports_of(source):
    """Return the full names of all that a module imports, at any depth."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += ['%s.%s' % (node.module, alias.name) for alias in node.names]
    return found


def aliases(source):
    """Return the modules of this package that a file imports under another name."""
    return ['%s as %s' % (alias.name, alias.asname) for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == NAME
            for alias in node.names if alias.asname]


def faults(room, source):
    """Return what a file in a folder imports against the rules."""
    wrong = []
    for name in imports_of(source):
        top, _, rest = name.partition('.')
        if top == NAME:
            other = rest.split('.')[0]
            if other and other != room and other not in ALLOWED[room]:
                wrong.append(name)
        elif top in SERVICES and room not in SERVICES[top]:
            wrong.append(name)
    return wrong


class RoomsTest(unittest.TestCase):

    def test_every_import_follows_the_plan(self):
        wrong = []
        for path in glob.glob(os.path.join(PACKAGE, '**', '*.py'), recursive=True):
            if path == os.path.join(PACKAGE, '__init__.py'):
                continue
            with open(path, encoding='utf-8') as stream:
                wrong += ['%s imports %s' % (os.path.relpath(path, PACKAGE), name)
                          for name in faults(room_of(path), stream.read())]
        self.assertEqual([], wrong)

    def test_no_module_of_ours_needs_another_name(self):
        found = []
        for path in glob.glob(os.path.join(PACKAGE, '**', '*.py'), recursive=True):
            with open(path, encoding='utf-8') as stream:
                found += ['%s: %s' % (os.path.relpath(path, PACKAGE), name)
                          for name in aliases(stream.read())]
        self.assertEqual([], found)
        self.assertEqual(['plans as p'], aliases('from multistore_hooks.stores import plans as p'))

    def test_every_folder_has_its_place_in_the_plan(self):
        rooms = {room_of(path) for path in glob.glob(os.path.join(PACKAGE, '*'))
                 if path.endswith('.py') or os.path.exists(os.path.join(path, '__init__.py'))}
        self.assertEqual(set(), rooms - set(ALLOWED) - {'__init__', '__pycache__'})

    def test_the_plan_has_no_circle(self):
        left = dict(ALLOWED)
        while left:
            ground = [room for room, below in left.items() if not below & set(left)]
            self.assertNotEqual([], ground, 'a circle among %s' % sorted(left))
            for room in ground:
                del left[room]

    def test_an_import_against_the_plan_is_seen(self):
        for room, source in (('glance_api', 'from multistore_hooks.upload import transfer'),
                             ('options', 'from multistore_hooks.upload import placements'),
                             ('copy', 'def f():\n    import nova.conf'),
                             ('glance', 'from multistore_hooks import cinder'),
                             ('nova', 'from cinder.volume import manager')):
            self.assertEqual(1, len(faults(room, source)), source)
