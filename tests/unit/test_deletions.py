# SPDX-License-Identifier: Apache-2.0
"""Every call of the package that deletes something is in the contributors' list of them, with a reason."""

import ast
import glob
import os
import re

import testtools

import multistore_hooks
from tests import documentation

PACKAGE = os.path.dirname(os.path.abspath(multistore_hooks.__file__))
PAGE = 'doc/source/contributor/deletions.rst'
#: Names of functions that delete, or lead to it.
VERBS = re.compile(r'_*(delete|discard|remove|unlink|rmdir|rmtree|trash_move|unprotect|rm_|evict\Z|forget|'
                   r'withdraw|purge|wipe|erase_image|disconnect_volume|truncate|ftruncate|fallocate|'
                   r'give_name_back|break_lock|omap_rm|flatten)')
#: What is replaced by a rename is deleted.
REPLACED = ('os', 'self._tree')
#: Things in the memory of the process.
IN_MEMORY = ('waiting', '_running', 'self._running', 'task.missing', 'task.surplus', 'self._along', 'bars',
             '_downloading', '_made_apart', 'logging.getLogger()', 'handler')


def _name(node):
    if isinstance(node, ast.Attribute):
        return '%s.%s' % (_name(node.value), node.attr)
    if isinstance(node, ast.Call):
        return _name(node.func) + '()'
    return getattr(node, 'id', '?')


def _deletes(call):
    receiver, _, verb = _name(call.func).rpartition('.')
    if receiver in IN_MEMORY:
        return False
    constants = (getattr(arg, 'value', getattr(arg, 's', None)) for arg in call.args)  # ast.Str of Python 3.6
    return bool(VERBS.match(verb) or verb == 'replace' and receiver in REPLACED
                or any(isinstance(text, str) and text.upper() == 'DELETE' for text in constants))


def deletions(source):
    """Return the functions, by their qualified names, that a module deletes something in."""
    found = set()

    def visit(node, names):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and _deletes(child):
                found.add('.'.join(names) or '(module)')
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            visit(child, names + [child.name] if named else names)

    visit(ast.parse(source), [])
    return found


def of_the_code():
    """Return all of them in the package, as the page writes them."""
    found = set()
    for path in glob.glob(os.path.join(PACKAGE, '**', '*.py'), recursive=True):
        with open(path, encoding='utf-8') as stream:
            found |= {'%s: %s' % (os.path.relpath(path, PACKAGE), name) for name in deletions(stream.read())}
    return found


def of_the_page():
    return re.findall(r'``([a-z_/]+\.py: [\w.]+)``', documentation.read(PAGE))


class DeletionsTest(testtools.TestCase):

    def test_every_deletion_is_in_the_list_and_the_list_has_no_other(self):
        listed = of_the_page()
        self.assertEqual(([], []), (sorted(of_the_code() - set(listed)), sorted(set(listed) - of_the_code())),
                         'not in %s, and there without being in the code' % PAGE)
        self.assertEqual(len(set(listed)), len(listed))

    def test_a_new_deletion_is_seen(self):
        for call in ('images.delete(image_id)', 'os.unlink(path)', 'shutil.rmtree(path)', 'pool.remove(name)',
                     "self.request('x', 'delete', path)", 'os.replace(a, b)', 'rbd.RBD().trash_move(io, n)',
                     'cinder._delete_volume(v)', 'snapshot.unprotect_snap(s)'):
            self.assertEqual({'A.f'}, deletions('class A:\n    def f(self):\n        %s\n' % call), call)

    def test_what_only_forgets_in_memory_or_changes_a_text_is_none(self):
        for call in ('waiting.remove(copy)', "text.replace('a', 'b')", 'get("get", path)', 'evictor(x)'):
            self.assertEqual(set(), deletions('def f():\n    %s\n' % call), call)
