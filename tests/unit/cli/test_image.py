# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image stores`` and ``image copy``: what they print, do, and end with."""

import io
from unittest import mock

import ddt

from multistore_hooks.cli import image
from multistore_hooks.cli import image_copies
from multistore_hooks.cli import session
from tests import contract
from tests import fake_glance
from tests.unit.cli import image_base

NOBODYS = 'c0ffee00-0000-4000-8000-000000000000'


class StoresTest(image_base.ImageTestCase):

    def test_stores_by_id_and_by_name(self):
        first, second = self.add('reliable', 'fast', name='one'), self.add('cheap', name='two')
        code, rows = self.json('stores', first, 'two')
        self.assertEqual(0, code)
        self.assertEqual([
            {'ID': first, 'Name': 'one', 'Status': 'active', 'Stores': ['reliable', 'fast'],
             'Copying To': [], 'Failed': []},
            {'ID': second, 'Name': 'two', 'Status': 'active', 'Stores': ['cheap'],
             'Copying To': [], 'Failed': []}], rows)

    def test_without_an_image_all_are_shown_hidden_ones_too(self):
        ids = [self.add('fast', name='one'), self.add('fast', 'cheap'), self.add(), self.add('cheap'),
               self.add('cheap', os_hidden=True)]
        code, rows = self.json('stores')
        self.assertEqual((0, dict(zip(ids, (['fast'], ['fast', 'cheap'], [], ['cheap'], ['cheap'])))),
                         (code, {row['ID']: row['Stores'] for row in rows}))
        self.assertEqual(len(ids), len(rows))

    def test_no_image_at_all(self):
        self.assertEqual((0, []), self.json('stores'))
        self.glance.stores = {}
        self.assertEqual((2, ''), self.run_command('stores')[:2])

    def test_a_copy_that_goes_on_and_one_that_failed(self):
        one = self.add('fast', os_glance_importing_to_stores='cheap', os_glance_failed_import='reliable')
        _code, rows = self.json('stores', one)
        self.assertEqual((['cheap'], ['reliable']), (rows[0]['Copying To'], rows[0]['Failed']))

    def test_value_has_commas_and_no_brackets(self):
        one = self.add('reliable', 'fast')
        self.assertEqual((0, 'reliable,fast\n', ''),
                         self.run_command('stores', one, '-f', 'value', '-c', 'Stores'))

    def test_table_for_a_person(self):
        self.add('reliable', 'fast', name='one')
        code, out, err = self.run_command('stores', 'one')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('| reliable, fast |', out)

    def test_an_image_named_twice_is_shown_once(self):
        one = self.add('fast', name='one')
        self.assertEqual(1, len(self.json('stores', one, 'one')[1]))

    def test_name_of_several_images_is_refused_with_their_ids(self):
        ids = [self.add('fast', name='twin'), self.add('cheap', name='twin')]
        code, out, err = self.run_command('stores', 'twin')
        self.assertEqual((2, ''), (code, out))
        self.assertIn("2 images have the name 'twin'", err)
        for image_id in ids:
            self.assertIn(image_id, err)

    def test_hidden_image_is_found_by_name_if_no_other_is(self):
        hidden = self.add('fast', name='old', os_hidden=True)
        self.assertEqual(hidden, self.json('stores', 'old')[1][0]['ID'])
        shown = self.add('fast', name='old')
        self.assertEqual(shown, self.json('stores', 'old')[1][0]['ID'])

    def test_names_that_look_like_ids_or_operators(self):
        for name in (NOBODYS, 'in:a,b', 'c0ffee00000040008000000000000000'):
            one = self.add('fast', name=name)
            self.assertEqual(one, self.json('stores', name)[1][0]['ID'])

    def test_unknown_image_does_not_hide_the_others(self):
        one = self.add('fast')
        code, out, err = self.run_command('stores', one, NOBODYS, '-f', 'value', '-c', 'ID')
        self.assertEqual((2, one + '\n'), (code, out))
        self.assertEqual("multistore-hooks: There is no image with the id or the name '%s', or these "
                         'credentials may not see it.\n' % NOBODYS, err)

    def test_only_unknown_images_print_no_table(self):
        self.assertEqual((2, ''), self.run_command('stores', 'none')[:2])

    def test_glance_of_one_store(self):
        self.glance.stores = {}
        one = self.add(name='one')
        self.glance.images[one]['status'] = 'active'
        code, out, err = self.run_command('stores', one)
        self.assertEqual((2, ''), (code, out))
        self.assertIn('enabled_backends in glance-api.conf is not set', err)

    def test_options_of_the_cloud_stand_before_or_after_the_command(self):
        one = self.add('fast')
        for argv in (('--os-cloud', 'edge', 'stores', one), ('stores', '--os-cloud', 'edge', one),
                     ('stores', one, '--os-cloud', 'edge')):
            self.assertEqual(0, self.run_command(*argv)[0], argv)
            self.assertEqual('edge', self.options.os_cloud)

    def test_options_of_the_cloud_are_in_the_help(self):
        code, out, _err = self.run_command('stores', '--help')
        self.assertEqual(0, code)
        for text in ('--os-cloud', 'Exit code: 0'):
            self.assertIn(text, out)


@ddt.ddt
class WrongInputTest(image_base.ImageTestCase):
    """One line and exit code 2, never a stack trace."""

    def check(self, message, *argv):
        code, out, err = self.run_command(*argv)
        self.assertEqual((2, ''), (code, out))
        self.assertEqual(1, err.count('\n'), err)
        self.assertIn(message, err)
        self.assertEqual(0, self.imports())

    @ddt.data(session.NoCredentials(why='nothing'), session.NotAccepted(source='cloud x', why='401'),
              session.Unreachable(what='Glance', source='cloud x', why='refused'),
              session.TlsFailed(source='cloud x', why='self-signed'))
    def test_cloud_cannot_be_reached(self, error):
        with mock.patch.object(session, 'connect', side_effect=error):
            self.check(str(error), 'stores', NOBODYS)
            self.check(str(error), 'copy', NOBODYS, '--to', 'fast')
            self.check(str(error), 'misplaced')

    @ddt.data(403, 500)
    def test_glance_refuses(self, status):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/', status, times=9))
        self.check('HTTP %d' % status, 'stores', NOBODYS)
        self.check('HTTP %d' % status, 'copy', NOBODYS, '--to', 'fast')
        self.check('HTTP %d' % status, 'misplaced')

    @ddt.data(('nope', 'which does not exist. The stores are: reliable, fast (default), cheap, web '
                       '(read-only)'),
              ('web', 'which is read-only'), ('fas', 'which does not exist'))
    @ddt.unpack
    def test_store_that_takes_nothing(self, store, message):
        one = self.add('fast')
        self.check("--to names the Glance store '%s', %s" % (store, message), 'copy', one, '--to', store)

    def test_unknown_image_among_others_has_nothing_copied(self):
        one = self.add('fast')
        self.check("'nobody'", 'copy', one, 'nobody', '--to', 'cheap')

    def test_wrong_column_is_reported_before_anything_is_done(self):
        one = self.add('fast')
        self.check("There is no column 'Sotres'. The columns are: ID, Name, Store, Result, Reason.",
                   'copy', one, '--to', 'cheap', '-c', 'Sotres')

    @ddt.data(('stores', '--to', 'x'), ('copy', 'x'), ('copy', '--to', 'fast'),
              ('copy', 'x', '--to', 'a', '--parallel', '0'), ('copy', 'x', '--to', 'a', '--timeout', 'soon'),
              ('misplaced', '--colocate', 'some'))
    def test_wrong_arguments(self, argv):
        code, out, err = self.run_command(*argv)
        self.assertEqual((2, ''), (code, out))
        self.assertIn('usage: multistore-hooks image', err)

    def test_stores_apart_after_one_option_are_one_clear_error(self):
        image_id = self.add('fast')
        code, out, err = self.run_command('copy', image_id, '--to', 'reliable', 'cheap', '--wait')
        self.assertEqual((2, ''), (code, out))
        self.assertTrue(err.endswith('multistore-hooks: Several stores are written with commas and no '
                                     'spaces: --to reliable,cheap\n'), err)
        code, out, err = self.run_command('copy', '--to', 'reliable', 'cheap', image_id)
        self.assertEqual((2, ''), (code, out))
        self.assertEqual("multistore-hooks: 'cheap' is a store, and there is no image of that id or name. "
                         'Several stores are written after --to with commas and no spaces.\n', err)
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertNotIn('commas', self.run_command('copy', image_id, '--to', 'cheap', '--nonsense')[2])
        for more in (['--nonsense'], ['--timeout', 'soon']):
            err = self.run_command('copy', '--to', 'cheap', image_id, *more)[2]
            self.assertIn('multistore-hooks image copy: error: ', err)
            self.assertNotIn('commas', err)

    def test_glance_of_one_store(self):
        self.glance.stores = {}
        self.check('enabled_backends', 'copy', NOBODYS, '--to', 'fast')
        self.check('enabled_backends', 'misplaced')

    def test_unexpected_error_is_a_line_too(self):
        with mock.patch.object(session, 'connect', side_effect=KeyError('what')):
            code, out, err = self.run_command('stores', NOBODYS)
            self.assertEqual((255, ''), (code, out))
            self.assertEqual("multistore-hooks: internal error: KeyError: 'what' (--debug before the command "
                             'shows more)\n', err)
            self.assertIn('Traceback', self.run_command('--debug', 'stores', NOBODYS)[2])


@ddt.ddt
class CopyTest(image_base.ImageTestCase):

    def results(self, *argv):
        code, rows = self.json('copy', *argv)
        return code, [(row['ID'], row['Store'], row['Result']) for row in rows]

    def test_several_images_to_several_stores(self):
        one, two = self.add('fast'), self.add('cheap', name='two')
        code, rows = self.results(one, 'two', '--to', 'reliable,cheap', '--wait')
        self.assertEqual((0, [(one, 'reliable', 'copied'), (one, 'cheap', 'copied'),
                              (two, 'reliable', 'copied'), (two, 'cheap', 'present')]), (code, rows))
        self.assertEqual(['cheap', 'fast', 'reliable'], self.glance.where(one))
        self.assertEqual(['cheap', 'reliable'], self.glance.where(two))

    def test_one_request_of_glance_for_all_stores_of_an_image(self):
        self.glance.copies_at_once, self.glance.looks = False, 5
        self.results(self.add('fast'), '--to', 'reliable', '--to', 'cheap', '--wait')
        self.assertEqual(1, self.imports())

    def test_without_wait_it_is_requested(self):
        self.glance.copies_at_once = False
        one = self.add('fast')
        self.assertEqual((0, [(one, 'reliable', 'requested'), (one, 'cheap', 'requested')]),
                         self.results(one, '--to', 'reliable,cheap'))
        self.assertEqual(1, self.imports())
        self.glance.finish_copies()
        self.assertEqual(['cheap', 'fast', 'reliable'], self.glance.where(one))

    def test_what_glance_has_taken_on_is_not_requested_again_before_it_shows(self):
        self.glance.copies_at_once = False
        one, real = self.add('fast'), self.glance._show

        def show(image, *args):
            return 200, {name: value for name, value in real(image, *args)[1].items()
                         if not name.startswith('os_glance_')}

        with mock.patch.object(self.glance, '_show', show):
            self.assertEqual((0, [(one, 'reliable', 'requested'), (one, 'cheap', 'requested')]),
                             self.results(one, '--to', 'reliable,cheap'))
        self.assertEqual(1, self.imports())

    def test_megabytes_of_the_store_before_are_not_those_of_the_next(self):
        self.glance.copies_at_once = False
        one = self.add('fast', data=b'x')
        self.results(one, '--to', 'reliable,cheap')
        run = image_base.connection(self.glance).run
        images = image_copies._OneImage(run, image_copies.Wanted(None, ()), image.progress.NullProgress())
        record, shown = images.image(one), []
        for store, reported in (('reliable', 0), ('reliable', 7), ('reliable', 9), ('cheap', 9), ('cheap', 9),
                                ('cheap', 2), ('cheap', 9)):
            self.glance.tasks[one][-1]['message'] = 'Copied %d MiB' % reported
            shown.append(images._copied(record, store))
        self.assertEqual([0, 7, 9, 0, 0, 2, 9], shown)

    def test_again_while_it_goes_on_requests_nothing(self):
        self.glance.copies_at_once = False
        one = self.add('fast')
        self.results(one, '--to', 'cheap')
        self.assertEqual((0, [(one, 'cheap', 'requested')]), self.results(one, '--to', 'cheap'))
        self.glance.looks = 3
        self.assertEqual((0, [(one, 'cheap', 'copied')]), self.results(one, '--to', 'cheap', '--wait'))
        self.assertEqual((0, [(one, 'cheap', 'present')]), self.results(one, '--to', 'cheap', '--wait'))
        self.assertEqual(1, self.imports())

    def test_lock_of_another_import_is_reported_without_wait_and_waited_for_with_it(self):
        self.glance.copies_at_once = False
        one = self.add('fast')
        self.results(one, '--to', 'cheap')
        code, out, err = self.run_command('copy', one, '--to', 'reliable')
        self.assertEqual(1, code)
        self.assertIn('another import holds the image (its task is ', err)
        self.assertIn('| failed |', out)
        self.glance.looks = 2
        self.assertEqual((0, [(one, 'reliable', 'copied')]), self.results(one, '--to', 'reliable', '--wait'))

    def test_failed_copy_is_reported_and_the_others_go_on(self):
        self.glance.stores['bad'] = fake_glance.FAILING
        one = self.add('fast', name='one')
        code, out, err = self.run_command('copy', one, '--to', 'bad,cheap', '--wait', '-f', 'json')
        self.assertEqual(1, code)
        self.assertIn('multistore-hooks: Image %s is not in the store bad: the copy failed' % one, err)
        self.assertIn('"Reason": "Image %s' % one, out)
        self.assertEqual(['cheap', 'fast'], self.glance.where(one))

    def test_two_failing_stores_are_requested_once(self):
        self.glance.stores.update(bad=fake_glance.FAILING, worse=fake_glance.FAILING)
        self.glance.copies_at_once, self.glance.looks = False, 3
        one = self.add('fast')
        self.assertEqual((1, [(one, 'bad', 'failed'), (one, 'worse', 'failed')]),
                         self.results(one, '--to', 'bad,worse', '--wait'))
        self.assertEqual(1, self.imports())

    @ddt.data((), ('--wait',))
    def test_not_allowed(self, wait):
        self.token = contract.MEMBER
        one = self.add('fast')
        code, _out, err = self.run_command('copy', one, '--to', 'cheap', *wait)
        self.assertEqual(1, code)
        self.assertIn('its policy copy_image is for administrators by default', err)
        self.assertNotIn('nova.conf', err)

    def test_credentials_that_are_not_accepted_any_more(self):
        one = self.add('fast')
        self.glance.copies_at_once = False
        self.results(one, '--to', 'cheap')
        real = self.glance._show

        def show(*args):
            self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 401, times=9))
            return real(*args)

        with mock.patch.object(self.glance, '_show', show):
            code, _out, err = self.run_command('copy', one, '--to', 'cheap', '--wait', '--timeout', '3')
        self.assertEqual(1, code)
        self.assertIn('are not accepted', err)
        self.assertNotIn('took longer', err)

    def test_time_is_up(self):
        self.glance.copies_at_once = False
        code, _out, err = self.run_command('copy', self.add('fast'), '--to', 'cheap', '--wait',
                                           '--timeout', '1')
        self.assertEqual(1, code)
        self.assertIn('it took longer than 1 seconds', err)

    def test_image_without_data(self):
        one = self.glance.add_image(owner='p1')
        code, _out, err = self.run_command('copy', one, '--to', 'cheap', '--wait')
        self.assertEqual(1, code)
        self.assertIn('the status of the image is queued', err)

    def test_no_more_at_once_than_requested(self):
        running, most = [], []
        real = image_copies._copy_image

        def one(*args):
            running.append(1)
            most.append(len(running))
            try:
                return real(*args)
            finally:
                running.pop()

        images = [self.add('fast') for _unused in range(8)]
        with mock.patch.object(image_copies, '_copy_image', one):
            code, rows = self.results(*images + ['--to', 'cheap', '--wait', '--parallel', '3'])
        self.assertEqual((0, images), (code, [row[0] for row in rows]))
        self.assertTrue(max(most) <= 3, most)

    def test_error_in_a_thread_is_a_result(self):
        one = self.add('fast')
        with mock.patch.object(image_copies.waiter.CopyWaiter, 'run', side_effect=KeyError('what')):
            code, _out, err = self.run_command('copy', one, '--to', 'cheap', '--wait')
        self.assertEqual(1, code)
        self.assertIn("internal error: KeyError: 'what'", err)

    def test_ctrl_c_says_that_glance_goes_on(self):
        self.glance.copies_at_once = False
        one = self.add('fast')
        with mock.patch.object(image_copies.threading.Thread, 'join', side_effect=[KeyboardInterrupt, None]):
            code, out, err = self.run_command('copy', one, '--to', 'cheap', '--wait')
        self.assertEqual((130, ''), (code, out))
        self.assertIn('Glance continues the copies that it has accepted', err)
        self.assertTrue(err.endswith('multistore-hooks: stopped\n'), err)

    def test_bars_on_a_terminal_only(self):
        self.glance.copies_at_once, self.glance.looks = False, 6
        one = self.add('fast', name='base', data=b'x' * 4096)

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        with mock.patch.dict('os.environ', TERM='xterm'), mock.patch.object(
                image.progress, 'make_progress', lambda stream: image.progress.Bars(terminal)):
            self.assertEqual(0, self.run_command('copy', one, '--to', 'cheap', '--wait')[0])
        self.assertIn('base [....................]   0% -> cheap', terminal.getvalue())
        self.assertTrue(terminal.getvalue().endswith('\x1b[J'), terminal.getvalue()[-20:])
