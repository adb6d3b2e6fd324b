# SPDX-License-Identifier: Apache-2.0
"""Each command for stores is killed at each of its requests, and run again, on a real Glance.

For Glance, to be killed before a request is the same as after the one before it. So a command is killed
before its first request, and after each one took effect.
"""

import contextlib
import itertools
import json
import os
import shutil
import sqlite3
import threading
from unittest import mock

import fixtures
import requests.adapters

from multistore_hooks import backoff
from multistore_hooks.copy import leader
from multistore_hooks.stores import lock
from tests.functional import shared
from tests.functional import stores_base

BEFORE, AFTER = 'before', 'after'


class Killed(BaseException):
    """The command was killed."""


class Sends:
    """Sends the requests of a command until it is killed; nothing is sent any more then."""

    def __init__(self, at=None, when=None):
        self.count, self.dead = 0, False
        self._kill, self._lock = (at, when), threading.Lock()
        self._send = requests.adapters.HTTPAdapter.send

    def send(self, adapter, request, **options):
        """Stand for HTTPAdapter.send."""
        with self._lock:  # image copy sends from several threads
            self._die_at(self.count + 1, BEFORE)
            self.count += 1
            response = self._send(adapter, request, **options)
            self._die_at(self.count, AFTER)
            return response

    def _die_at(self, number, when):
        self.dead = self.dead or (number, when) == self._kill
        if self.dead:
            raise Killed()


class KilledTest(stores_base.StoresTestCase):
    """A Glance of its own, as all that is in a store goes."""

    #: Whether the command takes --reach.
    reads_places = True
    #: Of the images that are made.
    properties = {}

    def setUp(self):
        super().setUp()
        for target, name, value in ((backoff, 'poll_interval', lambda *unused: 0.05),
                                    (leader, 'GLIMPSE', 0.05),
                                    (threading, 'excepthook', lambda *unused: None)):
            self.useFixture(fixtures.MockPatchObject(target, name, value))

    def make_glance(self):
        return shared.glance('killed', stores={'a': 'file', 'b': 'file', 'c': 'file'}, default='a')

    def add(self, kinds):
        """Make an image of each kind: in both b and c, the same and lost in c, in c only."""
        self.images = {kind: self.glance.add_image(b'data', ['c' if kind == 'only' else 'b'], tags=[kind],
                                                   **self.properties)
                       for kind in kinds}
        for kind in sorted({'both', 'lost'} & set(kinds)):
            self.list_in_c(self.images[kind])
        if 'both' in kinds:
            shutil.copyfile(*[os.path.join(self.glance.dir(store), self.images['both']) for store in 'bc'])

    def list_in_c(self, image_id):
        """Let a record list the store c, too; a copy by Glance would take a hundred times as long."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.glance.root, 'glance.sqlite'),
                                                timeout=60)) as database, database:
            database.execute(
                'INSERT INTO image_locations (image_id, value, meta_data, status, created_at, deleted)'
                ' SELECT image_id, ?, ?, status, created_at, deleted FROM image_locations'
                ' WHERE image_id = ?', ('file://' + os.path.join(self.glance.dir('c'), image_id),
                                        json.dumps({'store': 'c'}), image_id))

    def remove(self):
        for image_id in self.images.values():
            self.glance.wait_for_import(image_id)
            self.glance.request('DELETE', '/v2/images/' + image_id)

    def state(self):
        """Return where the images are, and where their records say, and the locks that are left."""
        names = self.glance.request('GET', '/v2/metadefs/namespaces').json()['namespaces']
        return ([(self.held(image_id), sorted(self.glance.stores_of(image_id)))
                 for image_id in self.images.values()],
                [name['namespace'] for name in names if 'evict' in name['namespace']])

    def run_once(self, words, at=None, when=None):
        """Run a command, and kill it at a request; return its exit code, and what sent its requests."""
        words = words.format(**self.images)
        sends, code = Sends(at, when), None
        gone = lock.holder().replace('process %d ' % os.getpid(), 'process %d ' % 2 ** 22)
        with mock.patch.object(requests.adapters.HTTPAdapter, 'send',
                               lambda adapter, request, **options: sends.send(adapter, request, **options)), \
                mock.patch.object(lock, 'holder', lambda: gone), contextlib.suppress(Killed):
            code = self.run_words(words, self.reach() if self.reads_places else [])[0]
        return code, sends

    def each_kill(self, words, least, code=0, changes=True, **end):
        """Kill a command at each request, and run it again.

        :param least: how many requests there are, at least
        :param code: the exit code of the second run
        :param changes: whether it changes anything
        :param end: which images there are, and where each is then, by its data and its record
        """
        wanted = [(['b'] if kind == 'lost' else list(stores), list(stores)) for kind, stores in end.items()]
        self.add(end)
        for number in itertools.count():
            _code, sends = self.run_once(words, number or 1, AFTER if number else BEFORE)
            for image_id in self.images.values():
                self.assertNotEqual([], self.held(image_id), (words, number))
            again, _sends = self.run_once(words)
            self.assertEqual((code, (wanted, [])), (again, self.state()), (words, number))
            if not sends.dead:
                break
            if changes:
                self.remove()
                self.add(end)
        self.remove()
        self.assertGreaterEqual(number, least, words)

    def test_evict(self):
        self.each_kill('image evict {both} --from c', 12, both='b')

    def test_drain(self):
        self.each_kill('store drain c --to b', 20, lost='b', only='b')

    def test_check_and_mend(self):
        # What is in the store shows that the directory is the store's.
        self.each_kill('store check c --mend', 12, lost='b', only='c')

    def test_place(self):
        rules = self.write('rules', 'rules: [{name: a, match: {tag: both}, only: b}, '
                           '{name: b, match: {tag: only}, in: a}]')
        self.each_kill('image place --apply --rules ' + rules, 18, both='b', only='ac')

    def test_copy(self):
        self.reads_places = False
        self.each_kill('image copy {both} {only} --to a --wait', 6, both='abc', only='ac')

    def test_misplaced(self):
        self.reads_places = False
        self.add(['both'])
        base, kept = self.images['both'], dict(self.images)
        self.properties = {'base_image_ref': base}
        self.each_kill('image misplaced --fix --wait', 6, only='bc')
        self.images = kept
        self.remove()

    def test_commands_that_only_read(self):
        for words, code in (('store list', 0), ('image list', 0), ('store check c', 1),
                            ('store drain c --to b --dry-run', 1),
                            ('image evict {lost} --from c --dry-run', 0)):
            self.each_kill(words, 2, code, changes=False, lost='bc', only='c')
        self.reads_places = False
        for words in ('image stores', 'image watch', 'image misplaced'):
            self.each_kill(words, 2, changes=False, only='c')
