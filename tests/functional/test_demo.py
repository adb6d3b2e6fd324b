# SPDX-License-Identifier: Apache-2.0
"""``make demo`` shows what the hooks do, says so when they do not, and leaves nothing behind."""

import contextlib
import glob
import importlib.util
import io
import os
import re
import signal
import socket
import subprocess
import sys
import unittest
import uuid

import fixtures
import testtools

from lab.demo import __main__ as demo
from lab.demo import cases
from lab.demo import table
from lab.demo import verdict
from lab import poll

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MISSING = [name for name in ('nova', 'cinder', 'glance', 'gunicorn')
           if not importlib.util.find_spec(name)]
MARK = 'LAB_DEMO_MARK'

# What issue and README promise: who uploads, with the filter?, what; meant for, is in, verdict.
PROMISED = '''\
Nova stock    -    snapshot                    reliable        fast            defect
Nova stock    yes  snapshot                    reliable        reliable        ok
Nova hooks    -    snapshot                    reliable        reliable        ok
Nova hooks    yes  snapshot                    reliable        reliable        ok
Nova hooks    -    backup                      reliable        reliable        ok
Nova hooks    -    shelve                      reliable        reliable        ok
Nova hooks    yes  snapshot_store: cheap       cheap           cheap           ok
Nova hooks    -    snapshot_store: gold        an error        nowhere         ok
Nova stock    yes  base image also in cheap    reliable        reliable        ok
Nova hooks    -    base image also in cheap    reliable        reliable        ok
Nova hooks    -    base image deleted          fast            fast            ok
Nova stock    -    Glance returns 503 midway   reliable        fast            defect
Nova hooks    -    Glance returns 503 midway   reliable        reliable        ok
Cinder stock  -    volume                      reliable        fast            defect
Cinder stock  yes  volume                      reliable        reliable        ok
Cinder hooks  -    volume                      reliable        reliable        ok
Cinder stock  yes  base image also in cheap    reliable,cheap  reliable,cheap  ok
Cinder hooks  yes  base image also in cheap    reliable,cheap  reliable,cheap  ok
Cinder stock  -    volume type's store: cheap  cheap           cheap           ok
Cinder hooks  -    volume type's store: cheap  cheap           cheap           ok
Cinder hooks  yes  volume type's store: cheap  cheap           cheap           ok
Cinder stock  -    volume type's store: gold   an error        nowhere         defect
Cinder hooks  -    volume type's store: gold   an error        nowhere         ok
Cinder hooks  -    base image deleted          fast            fast            ok
Cinder stock  yes  Glance returns 503 midway   reliable        reliable        defect
Cinder hooks  yes  Glance returns 503 midway   reliable        reliable        ok
Cinder hooks  -    volume type without store   fast            fast            ok
Cinder hooks  -    volume type's store: cheap  cheap           cheap           ok
'''


class Run:
    """A demo in a process and a temporary folder of its own."""

    def __init__(self, folder, python=(), **environ):
        self.mark = uuid.uuid4().hex
        environ = dict(os.environ, TMPDIR=folder, HOME=folder,
                       **dict(environ, **{MARK: self.mark}))
        environ.pop('XDG_CACHE_HOME', None)
        self.process = subprocess.Popen(
            [sys.executable, *python, '-m', 'lab.demo'], cwd=CHECKOUT, env=environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True,
            # As at a terminal: what is started in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))

    def finish(self, timeout=300):
        """Return its exit code, its output and its errors."""
        output, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, output, errors

    def processes(self):
        """Return the command lines of itself and all that it started, as far as they still run."""
        found = []
        for path in glob.glob('/proc/[0-9]*'):
            with contextlib.suppress(OSError), open(path + '/environ', 'rb') as environ, \
                    open(path + '/cmdline', 'rb') as command:
                if self.mark.encode() in environ.read():
                    found.append(command.read().decode().replace('\0', ' '))
        return found


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class DemoTest(testtools.TestCase):
    """One run of the whole demo."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        run = Run(folder.path)
        cls.code, cls.output, cls.errors = run.finish()
        cls.left = run.processes(), os.listdir(folder.path)
        cls.rows = [re.split('  +', line.strip()) for line in cls.output.splitlines()
                    if re.match(r' ?\d+  \S.* (ok|defect|WRONG)$', line)]

    def test_every_row_is_where_it_was_meant_to_be_or_where_stock_code_is_known_to_put_it(self):
        self.assertEqual(0, self.code, self.errors + self.output)
        promised = [re.split('  +', line) for line in PROMISED.splitlines()]
        shown = []
        for _number, what, by, filtered, meant, glance, disk, _data, judged in self.rows:
            self.assertEqual(glance, disk)
            shown.append([by, filtered, what, meant, glance, judged])
        self.assertEqual(promised, shown)

    def test_bytes_are_the_same_where_nothing_is_wrong(self):
        expected = {'ok': {'same', 'none'}, 'defect': {'same', 'damaged', 'none'}}
        for row in self.rows:
            self.assertIn(row[7], expected[row[8]])
            self.assertEqual(row[5] == 'nowhere', row[7] == 'none')
        damaged = [(row[1], row[2]) for row in self.rows if row[7] == 'damaged']
        self.assertEqual([('Glance returns 503 midway', 'Nova stock'),
                          ('Glance returns 503 midway', 'Cinder stock')], damaged)

    def test_wrong_store_is_one_error_and_no_upload_and_a_deleted_base_image_a_warning(self):
        said = ' '.join(self.output.split())
        self.assertEqual(1, said.count("[multistore_hooks] snapshot_store names the Glance store 'gold', "
                                       'which does not exist. The stores are: reliable, fast '
                                       '(default), cheap.'))
        # Whoever uploads a volume learns no more than that.
        self.assertEqual(1, said.count("Volume type 'with gold' names a Glance store that does not exist."))
        self.assertEqual(2, said.count("hooks: uploads in Glance's request log: 0; records left "
                                       'in Glance: 0; files left: 0'))
        self.assertEqual(2, said.count('hooks: WARNING multistore_hooks'))

    def test_it_is_readable_in_120_columns_and_says_what_to_do_next(self):
        self.assertLessEqual(max(map(len, self.output.splitlines())), 119)
        self.assertIn('README.rst', self.output)
        with open(os.path.join(CHECKOUT, 'README.rst'), encoding='utf-8') as readme:
            self.assertIn('\nIn a cloud\n', readme.read())
        self.assertEqual(4, len(self.errors.strip().splitlines()), self.errors)

    def test_it_leaves_no_process_and_no_file(self):
        self.assertEqual(([], []), self.left)


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class InterruptedTest(testtools.TestCase):

    def check(self, number, code, wait_for):
        folder = self.useFixture(fixtures.TempDir()).path
        run = Run(folder)
        self.addCleanup(run.process.wait)
        self.addCleanup(run.process.kill)
        poll.until('process ' + wait_for, lambda: any(wait_for in command for command in run.processes()),
                   check=lambda: self.assertIsNone(run.process.poll()))
        run.process.send_signal(number)
        ended, output, errors = run.finish()
        self.assertEqual((code, ''), (ended, output))
        self.assertTrue(errors.endswith('demo: stopped, and cleaned up\n'), errors)
        self.assertNotIn('Traceback', errors)
        self.assertEqual([], run.processes())
        self.assertEqual([], os.listdir(folder))

    def test_ctrl_c_while_glance_starts_leaves_no_process_and_no_folder(self):
        self.check(signal.SIGINT, 130, wait_for='gunicorn')

    def test_sigterm_while_services_upload_leaves_no_process_and_no_folder(self):
        self.check(signal.SIGTERM, 143, wait_for='lab.nova.program')


class OneLineTest(testtools.TestCase):
    """What keeps the demo from running is reported in one line."""

    def fail(self, python=(), **environ):
        folder = self.useFixture(fixtures.TempDir()).path
        code, output, errors = Run(folder, python, **environ).finish()
        self.assertEqual((1, ''), (code, output))
        self.assertEqual(1, errors.count('\n'), errors)
        self.assertEqual([], os.listdir(folder))
        return errors

    @unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
    def test_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertEqual('demo: port %d on 127.0.0.1 cannot be used: Address already in use\n'
                             % port, self.fail(GLANCE_PORT=str(port)))

    def test_port_that_is_none(self):
        self.assertIn('GLANCE_PORT=http:', self.fail(GLANCE_PORT='http'))

    def test_services_that_are_not_installed(self):
        # Without its site-packages, Python has no Nova.
        self.assertIn('nova is not installed', self.fail(python=('-S',)))


class VerdictTest(testtools.TestCase):
    """The verdict on results that are as they should be, and on altered ones."""

    def setUp(self):
        super().setUp()
        self.cases = [case for section in cases.SECTIONS for case in section.cases]

    @staticmethod
    def right(case):
        log = ('WARNING multistore_hooks.upload.transfer: fast it is',) if case.warns else ()
        if case.meant == cases.NOWHERE:
            return verdict.Found('StoreNotUsable: no gold', None, None, (), (), cases.NONE, 0, 0,
                                 log)
        return verdict.Found(None, 'active', cases.SIZE, case.meant, case.meant, cases.SAME, 1, 1,
                             log)

    def assertWrong(self, case, **altered):
        self.assertEqual(verdict.WRONG,
                         verdict.judge(case, self.right(case)._replace(**altered)),
                         (case, altered))

    def test_right_results_are_ok_whoever_uploads(self):
        for case in self.cases:
            self.assertEqual(verdict.OK, verdict.judge(case, self.right(case)))

    def test_upload_that_is_elsewhere_or_damaged_or_refused_is_wrong(self):
        for case in self.cases:
            if case.meant == cases.NOWHERE or case.defect:
                continue
            for stores in ((), ('fast', 'cheap'), case.meant[1:] or ('gold',)):
                self.assertWrong(case, in_glance=stores)
                self.assertWrong(case, on_disk=stores)
            self.assertWrong(case, data=cases.DAMAGED)
            self.assertWrong(case, status='queued')
            self.assertWrong(case, error='Conflict: no')

    def test_refused_upload_that_left_something_or_began_is_wrong(self):
        for case in self.cases:
            if case.meant == cases.NOWHERE and case.by.hooks:
                for altered in ({'error': None}, {'error': 'KeyError: 1'}, {'error': 'gold\nno'},
                                {'uploads': 1}, {'records': 1}, {'status': 'queued'},
                                {'on_disk': ('fast',), 'data': cases.SAME}):
                    self.assertWrong(case, **altered)

    def test_missing_warning_is_wrong(self):
        warning = [case for case in self.cases if case.warns]
        self.assertEqual(2, len(warning))
        for case in warning:
            self.assertWrong(case, log=('INFO multistore_hooks.upload.transfer: all is well',))

    def test_known_defect_is_one_for_stock_code_alone_and_only_as_it_is_known(self):
        known = [case for case in self.cases if case.defect]
        self.assertEqual(5, len(known))
        for case in known:
            self.assertFalse(case.by.hooks)
            stores, data = case.defect
            as_known = self.right(case)._replace(in_glance=stores, on_disk=stores, data=data,
                                                 uploads=1)
            self.assertEqual(verdict.DEFECT, verdict.judge(case, as_known))
            hooks = case._replace(by=case.by._replace(hooks=True))
            self.assertEqual(verdict.WRONG, verdict.judge(hooks, as_known))
            elsewhere = as_known._replace(on_disk=('cheap',))
            self.assertEqual(verdict.WRONG, verdict.judge(case, elsewhere))

    def test_one_row_elsewhere_makes_the_exit_code_1_and_is_shown(self):
        rows = [verdict.Row(case, self.right(case)) for case in self.cases]
        self.assertEqual((0, 0), self.report(rows))
        for number in (2, 13, 26):
            found = rows[number].found._replace(on_disk=('gold',))
            altered = list(rows)
            altered[number] = rows[number]._replace(found=found)
            self.assertEqual((1, 1), self.report(altered))

    @staticmethod
    def report(rows):
        """Return the exit code, and how many rows the table shows as wrong."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = demo.report(rows)
        return code, len(re.findall('  WRONG$', output.getvalue(), re.MULTILINE))

    def test_every_case_has_a_row_of_its_own(self):
        self.assertEqual(len(self.cases), len(set(self.cases)))
        rows = [verdict.Row(case, self.right(case)) for case in self.cases]
        numbered = re.findall(r'^ ?\d+  \S.* ok$', table.render(rows), re.MULTILINE)
        self.assertEqual(len(self.cases), len(numbered))
