# SPDX-License-Identifier: Apache-2.0
"""A kill, or an error of the system, at every single file operation in turn."""

import ast
import errno
import itertools
import os
import shutil
import signal

import ddt

import multistore_hooks.patching
from multistore_hooks.patching import errors
from multistore_hooks.patching import files
from multistore_hooks.patching import runner
from tests.unit import exhaustive
from tests.unit.patching import base

STEPS = ('mkdir', 'lock', 'create', 'write', 'set_attributes', 'sync', 'sync_folder', 'replace',
         'unlink', 'rmdir')


class BreakingTree(files.Tree):
    """A tree that has `strike` called before, in or after the step number `at`."""

    def __init__(self, root, at, when, strike):
        super().__init__(root)
        self.steps = 0
        self._at, self._when, self._strike = at, when, strike

    def _step(self, name, args):
        number = self.steps
        self.steps += 1
        if (number == self._at and self._when == 'before'
                or number >= self._at and self._when == 'on'):
            self._strike()
        if number == self._at and self._when == 'in' and name == 'write':
            path, file, data = args
            super().write(path, file, data[:len(data) // 2])
            self._strike()
        strikes = number == self._at and self._when == 'after'
        try:
            result = getattr(files.Tree, name)(self, *args)
        except OSError:
            if strikes:
                self._strike()
            raise
        if strikes:
            if name in ('create', 'lock'):
                os.close(result)  # as a failed one leaves none
            self._strike()
        return result


def _breaking(name):
    def step(self, *args, **kwargs):
        return self._step(name, args + tuple(kwargs.values()))
    return step


for _name in STEPS:
    setattr(BreakingTree, _name, _breaking(_name))


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def state_of(contents):
    """Return the state that the files themselves are in."""
    after = [contents.get(path) == data for path, data in base.AFTER.items()]
    before = [contents.get(path) == base.BEFORE.get(path) for path in base.AFTER]
    assert all(is_after or was for is_after, was in zip(after, before)), contents
    if all(after):
        return runner.APPLIED
    return runner.NOT_APPLIED if all(before) else runner.HALF_APPLIED


class TestTheTestItself(base.TreeTestCase):

    def test_every_file_operation_is_one_of_the_steps(self):
        """Nothing but files.py changes a file, and each of its ways to do so is counted."""
        folder = os.path.dirname(multistore_hooks.patching.__file__)
        allowed = {'close', 'geteuid', 'getegid', 'listdir', 'path'}
        for name in sorted(os.listdir(folder)):
            if not name.endswith('.py') or name == 'files.py':
                continue
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                tree = ast.parse(file.read())
            used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name) and node.value.id in ('os', 'shutil')}
            self.assertEqual(set(), used - allowed, name)
        public = {name for name in vars(files.Tree)
                  if not name.startswith('_')} - {'read', 'list', 'has_folder', 'is_locked'}
        self.assertEqual(set(STEPS), public)


class TestOrder(base.TreeTestCase):
    """What a power cut asks for; a test can only see that the disk is asked in this order."""

    def test_all_is_on_the_disk_before_the_record_and_that_before_the_first_file(self):
        steps = []

        class Noting(BreakingTree):
            def _step(self, name, args):
                steps.append((name,) + args[:2])
                return super()._step(name, args)

        self.runner(lambda root: Noting(root, -1, 'before', kill)).apply()
        notes = '.multistore-hooks/nova/three'
        record = steps.index(('replace', notes + '/record.new', notes + '/record.json'))
        created = [path for name, path, *_ in steps if name == 'create']
        self.assertEqual(6, len(created))
        for path in created:
            synced = [number for number, (name, at, *_) in enumerate(steps)
                      if (name, at) == ('sync', path)]
            self.assertLess(synced[0], record)
        self.assertEqual(('sync_folder', notes), steps[record - 1])
        self.assertEqual(
            [('sync_folder', notes), ('sync_folder', '.multistore-hooks/nova'),
             ('sync_folder', '.multistore-hooks'), ('sync_folder', '.')],
            steps[record + 1:record + 5])
        for path in base.PATHS:
            put = next(number for number, step in enumerate(steps)
                       if step[0] == 'replace' and step[2] == path)
            self.assertLess(record + 4, put)
            self.assertEqual(('sync_folder', os.path.dirname(path)), steps[put + 1])


@exhaustive.on_one_python
@ddt.ddt
class TestKilled(base.TreeTestCase):
    """A child process kills itself by SIGKILL; the tree it leaves is looked at from here."""

    def run_killed(self, verb, at, when):
        """Return whether the child was killed before it was done."""
        child = os.fork()
        if child == 0:
            try:
                self.runner(lambda root: BreakingTree(root, at, when, kill))
                getattr(self.runner(lambda root: BreakingTree(root, at, when, kill)), verb)()
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            self.assertEqual(signal.SIGKILL, os.WTERMSIG(status))
            return True
        self.assertEqual(0, os.WEXITSTATUS(status))
        return False

    def restart(self, applied):
        shutil.rmtree(self.root)
        base.make_tree(self.root)
        if applied:
            self.runner().apply()

    def check(self, where, seen):
        """The tree is in one of the three states, status says which, one run mends it."""
        state = state_of(base.contents(self.root))
        self.assertEqual(state, self.runner().status().state, where)
        seen.add(state)
        copy = os.path.join(self.folder, 'copy')
        shutil.copytree(self.root, copy, symlinks=True)
        self.runner(root=copy).apply()
        self.assertEqual(base.AFTER, base.contents(copy), where)
        self.runner(root=copy).revert()
        self.assertEqual(self.before, base.snapshot(copy, state=True), where)
        shutil.rmtree(copy)
        if state == runner.HALF_APPLIED:
            self.assertIn('apply again to finish, or revert to undo',
                          self.runner().status().message)
        self.runner().revert()
        self.assertEqual(self.before, base.snapshot(self.root, state=True), where)

    @ddt.data(('apply', 'before'), ('apply', 'after'), ('apply', 'in'),
              ('revert', 'before'), ('revert', 'after'))
    @ddt.unpack
    def test_at_every_step(self, verb, when):
        steps = self.count(verb)
        seen = set()
        struck = 0
        for at in range(steps):
            self.restart(applied=verb == 'revert')
            killed = self.run_killed(verb, at, when)
            struck += killed
            if when != 'in':
                self.assertTrue(killed)
            if killed:
                self.check((verb, when, at), seen)
        if when == 'in':
            self.assertEqual(6, struck)  # three new files, two originals, one record
            self.assertEqual({runner.NOT_APPLIED}, seen)
        else:
            self.assertGreater(struck, 12)
            self.assertEqual({runner.NOT_APPLIED, runner.HALF_APPLIED, runner.APPLIED}, seen)

    def count(self, verb):
        """Return how many steps it takes undisturbed."""
        self.restart(applied=verb == 'revert')
        made = []

        def counting(root):
            made.append(BreakingTree(root, -1, 'before', kill))
            return made[0]

        getattr(self.runner(counting), verb)()
        return made[0].steps

    def test_killed_again_while_mending(self):
        """Recovery itself may be killed at every step."""
        self.restart(applied=True)
        for at in range(200):
            self.restart(applied=False)
            self.assertTrue(self.run_killed('apply', self.half_way(), 'after'))
            self.assertEqual(runner.HALF_APPLIED, self.runner().status().state)
            if not self.run_killed('apply', at, 'after'):
                break
            self.check(('again', at), set())
        self.assertGreater(at, 20)

    def half_way(self):
        """Return the step after which the first of the files is changed."""
        made = []

        class Noting(BreakingTree):
            def _step(self, name, args):
                if name == 'replace':
                    made.append(self.steps)
                return super()._step(name, args)

        copy = os.path.join(self.folder, 'noting')
        shutil.copytree(self.root, copy)
        self.runner(lambda root: Noting(root, -1, 'before', kill), root=copy).apply()
        shutil.rmtree(copy)
        return made[1]  # the first puts the record in place


@exhaustive.on_one_python
@ddt.ddt
class TestErrors(base.TreeTestCase):
    """The system refuses, once or from then on: one clear line, all or nothing."""

    def strikes(self, number):
        def strike():
            raise OSError(number, os.strerror(number), 'FILE')
        return strike

    def attempt(self, verb, at, when, number):
        """Return the line of the refusal, None if it went well all the same."""
        tree = []

        def make(root):
            tree.append(BreakingTree(root, at, when, self.strikes(number)))
            return tree[0]

        try:
            getattr(self.runner(make), verb)()
        except errors.CannotWrite as error:
            self.assertNotIn('\n', str(error))
            self.assertIn(os.strerror(number), str(error))
            return str(error), tree[0].steps
        return None, tree[0].steps

    @ddt.data(errno.ENOSPC, errno.EROFS, errno.EACCES)
    def test_apply_refused_once(self, number):
        for when in ('before', 'in', 'after'):
            refused = 0
            for at in itertools.count():
                line, taken = self.attempt('apply', at, when, number)
                if line:
                    refused += 1
                    self.assertRegex(line, 'nothing was changed|as without the patch')
                    self.assertEqual(self.before, base.snapshot(self.root), (at, when))
                    self.assertEqual(runner.NOT_APPLIED, self.runner().status().state)
                self.runner().revert()
                self.assert_gone()
                if taken <= at:
                    break
            self.assertGreater(refused, 5 if when == 'in' else 20)

    @ddt.data(errno.ENOSPC, errno.EROFS, errno.EACCES)
    def test_apply_refused_from_then_on(self, number):
        self._from_then_on('apply', number)

    @ddt.data(errno.ENOSPC, errno.EROFS, errno.EACCES)
    def test_revert_refused_from_then_on(self, number):
        self._from_then_on('revert', number)

    def _from_then_on(self, verb, number):
        for at in itertools.count():
            if verb == 'revert':
                self.runner().apply()
            line, taken = self.attempt(verb, at, 'on', number)
            state = state_of(base.contents(self.root))
            self.assertEqual(state, self.runner().status().state, (at, line))
            if line and state != (runner.APPLIED if verb == 'revert' else runner.NOT_APPLIED):
                self.assertIn('status and revert it', line)
            self.runner().revert()
            self.assert_gone()
            if taken <= at:
                break
        self.assertGreater(at, 10)

    def test_revert_refused_once(self):
        for at in itertools.count():
            self.runner().apply()
            line, taken = self.attempt('revert', at, 'before', errno.EIO)
            state = state_of(base.contents(self.root))
            self.assertEqual(state, self.runner().status().state, (at, line))
            self.runner().revert()
            self.assert_gone()
            if taken <= at:
                break
        self.assertGreater(at, 10)

    def test_nothing_is_left_when_the_first_folder_cannot_be_made(self):
        for at in (0, 1, 2):
            line, _ = self.attempt('apply', at, 'before', errno.EROFS)
            self.assertIn('Read-only file system; nothing was changed', line)
            self.assert_gone()

    def test_stopped_by_the_keyboard_all_is_put_back(self):
        def stop():
            raise KeyboardInterrupt
        for at in range(8, 30):
            self.assertRaises(KeyboardInterrupt, self.runner(
                lambda root: BreakingTree(root, at, 'after', stop)).apply)
            self.assert_gone()

    def test_a_renewal_refused_leaves_no_patch(self):
        """Of a new text of a patch: it is checked first, but the disk may fill up then."""
        self.runner().apply()
        base.make_patches(self.patches, second=base.SECOND.replace(b'return 2', b'return 22'))
        seen = set()
        for at in range(60):
            line, taken = self.attempt('apply', at, 'before', errno.ENOSPC)
            if taken <= at:
                break
            if line:
                status = self.runner().status()
                seen.add(status.state)
                self.assertRegex(line, {
                    runner.NOT_APPLIED: 'as without the patch|may be applied in part',
                    runner.HALF_APPLIED: 'may be applied in part',
                    runner.OUTDATED: 'nothing was changed|may be applied in part',
                }[status.state])
            shutil.rmtree(self.root)
            base.make_tree(self.root)
            base.make_patches(self.patches)
            self.runner().apply()
            base.make_patches(self.patches, second=base.SECOND.replace(b'return 2', b'return 22'))
        self.assertEqual({runner.NOT_APPLIED, runner.OUTDATED, runner.HALF_APPLIED}, seen)

    def test_without_permission(self):
        if os.geteuid() == 0:
            self.skipTest('root may do all; run as a user in test_as_another_user')
        os.chmod(os.path.join(self.root), 0o500)
        self.addCleanup(os.chmod, self.root, 0o700)
        self.assertIn('Permission denied; nothing was changed',
                      self.refuses_all(errors.CannotWrite, verbs=['apply']))

    def test_as_another_user(self):
        if os.geteuid():
            self.skipTest('only root can become another user')
        os.chmod(self.folder, 0o755)
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgid(65534)
                os.setuid(65534)
                lines = []
                for verb in ('check', 'apply', 'status', 'revert'):
                    try:
                        lines.append(getattr(self.runner(), verb)().state)
                    except errors.PatchError as error:
                        lines.append(str(error))
                os.write(into, '\n'.join(lines).encode())
                os._exit(0)
            finally:
                os._exit(1)
        os.close(into)
        with open(out) as file:
            lines = file.read().split('\n')
        self.assertEqual(0, os.waitpid(child, 0)[1])
        # nova/other.py is 0600 root's: it cannot even be read.
        self.assertEqual(4, len(lines))
        for line in lines:
            self.assertIn('Permission denied', line)
        self.assertIn('nothing was changed', lines[1])
        self.assert_gone()
