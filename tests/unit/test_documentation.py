# SPDX-License-Identifier: Apache-2.0
"""README and documentation say how each example is tested, and know every warning and error of the code."""

import ast
import functools
import glob
import os
import re

import testtools

from tests import documentation

TROUBLESHOOTING = 'doc/source/troubleshooting.rst'
ARCHITECTURE = 'doc/source/contributor/architecture.rst'
#: What these log, goes to who runs a command, and is explained by its own page.
COMMANDS = os.path.join('multistore_hooks', 'cli')
_PLACEHOLDER = re.compile(r'%(?:\([a-z_]+\))?[0-9.]*[a-z]')


@functools.lru_cache(maxsize=None)
def _modules():
    """Return the path and the nodes of each module of the package."""
    found = []
    for path in glob.glob(os.path.join(documentation.ROOT, 'multistore_hooks', '**', '*.py'), recursive=True):
        with open(path, encoding='utf-8') as stream:
            found.append((os.path.relpath(path, documentation.ROOT),
                          list(ast.walk(ast.parse(stream.read())))))
    return found


def _text(node):
    """Return the constant text of an expression, with '…' for what is put in; None if it has none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _text(node.left)
    if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == '_' and node.args:
        return _text(node.args[0])
    value = getattr(node, 'value', getattr(node, 's', None))    # Python 3.6 has ast.Str
    return _PLACEHOLDER.sub('…', value).replace('%%', '%') if isinstance(value, str) else None


def _called(node):
    return getattr(node.func, 'attr', getattr(node.func, 'id', ''))


def _of_the_log(node):
    """Return whether a call logs a warning or worse: LOG.warning(...), or log(...), which may be one."""
    of_log = isinstance(node.func, ast.Attribute) and getattr(node.func.value, 'id', '') == 'LOG'
    return (of_log and node.func.attr in ('warning', 'error', 'exception', 'critical')
            or getattr(node.func, 'id', '') == 'log')


def warnings_of_the_code():
    """Return {text: place} of all warnings and errors that are logged, and reasons why a copy fails."""
    found = {}
    for path, nodes in _modules():
        if path.startswith(COMMANDS):
            continue
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            texts = []
            if node.args and (_of_the_log(node) or _called(node) == '_failed'):
                texts = [_text(node.args[0])]
            elif _called(node) == 'CopyFailed':
                texts = [_text(word.value) for word in node.keywords if word.arg == 'why']
            for text in texts:
                if text and text.strip('…. '):
                    found[text] = '%s:%d' % (path, node.lineno)
    return found


@functools.lru_cache(maxsize=None)
def texts_of_the_code():
    """Return every text in the code, with '…' for what is put in."""
    found = set()
    for _path, nodes in _modules():
        for node in nodes:
            text = _text(node) if not isinstance(node, ast.Call) else None
            if text:
                found.add(' '.join(text.split()))
    return found


def entries():
    """Return the entries of the page: lines of which all is a literal, at the head of an explanation."""
    lines = documentation.read(TROUBLESHOOTING).splitlines()
    return [line.strip().strip('`') for line, below in zip(lines, lines[1:])
            if re.match(r' *``.*``$', line) and below.startswith(' ' * (len(line) - len(line.lstrip()) + 1))]


def meant_by(entry):
    """Return a function of a text of the code: whether it is what an entry stands for."""
    return re.compile('.*'.join(re.escape(piece) for piece in entry.split('…')), re.DOTALL).match


def _exists(name):
    """Return whether there is a module of tests, and in it the class and the method, if they are named."""
    words = name.split('.')
    for length in range(len(words), 0, -1):
        path = os.path.join(documentation.ROOT, *words[:length]) + '.py'
        if os.path.exists(path):
            with open(path, encoding='utf-8') as stream:
                text = stream.read()
            return all(re.search(r'(?m)^ *(class|def) %s\b' % word, text) for word in words[length:])
    return False


class MarksTest(testtools.TestCase):
    """Every literal block says how it is tested."""

    def test_every_literal_block_says_what_a_test_does_with_it(self):
        without = [block.place for block in documentation.all_blocks() if block.mark is None]
        self.assertEqual([], without, 'a comment like ".. runs: host" or ".. not run: WHY" is missing before '
                         'these; see doc/source/contributor/documentation.rst')

    def test_what_is_not_run_has_a_reason(self):
        for block in documentation.all_blocks():
            if block.mark and block.mark.verb in ('not run', 'drawn', 'runs', 'reads'):
                self.assertTrue(block.mark.what, block.place)

    def test_a_test_that_a_page_names_exists(self):
        for block in documentation.all_blocks():
            if block.mark and block.mark.verb == 'runs' and block.mark.what.startswith('tests.'):
                self.assertTrue(_exists(block.mark.what), '%s names %s' % (block.place, block.mark.what))

    def test_commands_do_not_hide_from_the_tests(self):
        # A prompt in a block that is marked as something else would never be run.
        for block in documentation.all_blocks():
            if block.mark and block.mark.verb in ('reads', 'logged', 'drawn'):
                self.assertNotIn('\n$ ', '\n' + block.text, block.place)


class LoggedTest(testtools.TestCase):
    """What a page shows of a log can be logged."""

    def test_log_lines_are_the_codes_own(self):
        # What stands for a placeholder may be anything; what is the code's own has to be there.
        patterns = [re.compile('.+'.join(re.escape(piece) for piece in text.split('…')) + r'\Z')
                    for text in texts_of_the_code() if text.strip('…. ')]
        for block in documentation.all_blocks():
            if not block.mark or block.mark.verb != 'logged':
                continue
            for line in re.sub(r'\n +', ' ', block.text).splitlines():    # some go on in a second line
                logger, said = re.match(r'[A-Z]+ (multistore_hooks[a-z_.]*) (.*)', line).groups()
                self.assertTrue(os.path.exists(os.path.join(
                    documentation.ROOT, logger.replace('.', os.sep) + '.py')), logger)
                self.assertTrue(any(pattern.match(said) for pattern in patterns),
                                '%s: nothing logs: %s' % (block.place, said))


class TroubleshootingTest(testtools.TestCase):
    """The page has every warning and error, and no other."""

    def test_every_warning_and_error_of_the_code_is_explained(self):
        known = [meant_by(entry) for entry in entries()]
        missing = ['%s: %s' % (place, text) for text, place in sorted(warnings_of_the_code().items())
                   if not any(is_meant(text) for is_meant in known)]
        self.assertEqual([], missing)

    def test_every_entry_is_a_text_of_the_code(self):
        texts = texts_of_the_code()
        unknown = [entry for entry in entries() if not any(map(meant_by(entry), texts))]
        self.assertEqual([], unknown)

    def test_the_page_has_entries(self):
        self.assertGreater(len(entries()), 50)
        self.assertGreater(len(warnings_of_the_code()), 25)


class ArchitectureTest(testtools.TestCase):
    """What is drawn for contributors is there."""

    def test_every_file_of_the_drawings_exists(self):
        named = set(re.findall(r'\b[a-z_]+/[a-z_/]*\.py\b', documentation.read(ARCHITECTURE)))
        self.assertGreater(len(named), 10)
        self.assertEqual([], [name for name in sorted(named) if not any(
            os.path.exists(os.path.join(folder, name))
            for folder in (documentation.ROOT, os.path.join(documentation.ROOT, 'multistore_hooks')))])


class ReaderTest(testtools.TestCase):
    """The reader of the pages finds what is there."""

    def blocks(self, text):
        return list(documentation.blocks('page', text))

    def test_a_paragraph_with_colons_and_a_directive_begin_a_block(self):
        found = self.blocks('.. runs: host\n\nDo::\n\n    one\n    two\n\nNext\n\n'
                            '.. not run: no\n   way\n\n.. code-block:: console\n\n    $ three\n')
        self.assertEqual([('runs', 'host', 'one\ntwo\n', 5), ('not run', 'no way', '$ three\n', 15)],
                         [(one.mark.verb, one.mark.what, one.text, one.line) for one in found])

    def test_a_block_without_a_comment_has_no_mark(self):
        self.assertEqual([None, None], [block.mark for block in self.blocks(
            'Do::\n\n    one\n\n.. a comment of another kind\n\n::\n\n    two\n')])

    def test_other_directives_are_no_blocks(self):
        self.assertEqual([], self.blocks(
            '.. note::\n\n    text\n\n.. toctree::\n   :maxdepth: 1\n\n   one\n'))

    def test_blocks_in_lists_are_found(self):
        found, = self.blocks('#. In the file:\n\n   .. reads: nova.conf\n\n   .. code-block:: ini\n\n'
                             '      [a]\n      b = c\n\n#. Next\n')
        self.assertEqual(('nova.conf', '[a]\nb = c\n'), (found.mark.what, found.text))

    def test_output_belongs_to_its_command(self):
        self.assertEqual([('one \\\n  more', 'out\n'), ('two', None)],
                         [tuple(one) for one in documentation.commands('$ one \\\n  more\nout\n$ two\n')])
        self.assertEqual([('make x   # y', None)],
                         [tuple(one) for one in documentation.commands('make x   # y\n')])

    def test_three_points_are_anything(self):
        self.assertTrue(documentation.matches('a ... c', 'a b\nb c\n'))
        self.assertFalse(documentation.matches('a ... d', 'a b c'))
        self.assertFalse(documentation.matches('a', 'a b'))
