# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks site image list|remove|clones|flatten`` on a fake cluster."""

import json
import time

import fixtures
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from multistore_hooks.cli import main
from multistore_hooks.cli import site_image_clones
from tests import clock
from tests import fake_rbd
from tests.unit import modules
from tests.unit import program

IMAGE = '11111111-1111-1111-1111-111111111111'


class SiteImageCommandTestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock())
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, None, None, cluster.call_natively)
        self.images = site_images.SiteImages(cluster.Cluster(access), access, 'vms')
        self.useFixture(modules.Modules(rados=self.ceph.rados, rbd=self.ceph.rbd))

    def make(self, published=True, created=None):
        name = site_image_record.new_name(IMAGE)
        made = site_image_record.SiteImage(name, IMAGE, 5, site_image_record.Requirement('', False, ()),
                                           1700000000)
        self.ceph.rbd.images['vms', name] = fake_rbd.Image(5, time.time() if created is None else created)
        if published:
            self.images.finish(made)
            self.images.publish(made)
        return made

    def run_command(self, *arguments):
        """Return the exit code, and what was printed to both outputs."""
        return program.run(main.main, 'site', 'image', *arguments)


class SiteImageCommandTest(SiteImageCommandTestCase):

    def test_list_shows_state_and_clones(self):
        used, unused, unfinished = self.make(), self.make(), self.make(published=False, created=1700000000)
        self.ceph.rbd.clone('vms', used.name, site_image_record.SNAPSHOT, 'disk')
        self.images.withdraw(unused, 1700000000)
        code, out, _err = self.run_command('list', '-f', 'json')
        self.assertEqual(0, code)
        self.assertEqual({used.name: ('published', 1), unused.name: ('withdrawn', 0),
                          unfinished.name: ('unfinished', 0)},
                         {row['Name']: (row['State'], row['Clones']) for row in json.loads(out)})
        self.assertEqual({'2023-11-14T22:13:20Z'}, {row['Made'] for row in json.loads(out)})

    def test_a_wrong_column_is_refused_before_the_cluster_is_reached(self):
        self.ceph.rados.Rados = None
        for verb in ('list', 'clones'):
            code, out, err = self.run_command(verb, '-c', 'Colour')
            self.assertEqual((2, '', 1), (code, out, err.count('\n')))
            self.assertIn("There is no column 'Colour'. The columns are: ", err)

    def test_a_hostile_name_of_a_disk_is_escaped_for_a_person(self):
        used = self.make()
        self.ceph.rbd.clone('vms', used.name, site_image_record.SNAPSHOT, 'evil\x1b[2J')
        self.assertIn('evil\\x1b[2J', self.run_command('clones')[1])
        self.assertEqual('evil\x1b[2J', json.loads(self.run_command('clones', '-f', 'json')[1])[0]['Disk'])

    def test_remove_takes_what_nothing_is_a_clone_of(self):
        made, old = self.make(), self.make(published=False, created=1)
        self.assertEqual(0, self.run_command('remove', made.name, old.name)[0])
        self.assertEqual({}, self.ceph.rbd.images)
        self.assertEqual((), self.images.list())

    def test_remove_keeps_what_is_used_or_in_the_making_or_something_else(self):
        used, new = self.make(), self.make(published=False)
        self.ceph.rbd.clone('vms', used.name, site_image_record.SNAPSHOT, 'disk')
        before = set(self.ceph.rbd.images)
        code, _out, err = self.run_command('remove', used.name, new.name, 'disk',
                                           site_image_record.new_name('x'))
        self.assertEqual(1, code)
        for words in ('1 disks are clones', 'a host may be making it', 'not a site image',
                      'none of this name'):
            self.assertIn(words, err)
        self.assertEqual(before, set(self.ceph.rbd.images))
        self.assertEqual((used,), self.images.published(IMAGE))

    def test_cluster_that_is_away_is_one_line(self):
        self.ceph.away = True
        code, _out, err = self.run_command('list')
        self.assertEqual((2, 1), (code, len(err.splitlines())), err)

    def test_missing_modules_are_named(self):
        with modules.Modules(rados=None):
            code, _out, err = self.run_command('list')
        self.assertEqual(2, code)
        self.assertIn('python3-rados', err)


class ClonesTest(SiteImageCommandTestCase):

    def setUp(self):
        super().setUp()
        self.clock = clock.Clock()
        self.useFixture(fixtures.MockPatchObject(site_image_clones.Flatten, 'clock', self.clock))
        self.made = [self.make(), self.make()]
        for number, made in enumerate(self.made):
            for letter in 'ab':
                self.ceph.rbd.clone('vms', made.name, site_image_record.SNAPSHOT,
                                    '%s%d_disk' % (letter, number))

    def clones(self):
        return [self.images.children(made.name) for made in self.made]

    def test_list_names_the_servers(self):
        code, out, _err = self.run_command('clones', '-f', 'json')
        self.assertEqual((0, {'a0', 'b0', 'a1', 'b1'}), (code, {row['Server'] for row in json.loads(out)}))
        code, out, _err = self.run_command('clones', self.made[1].name, '-f', 'json')
        self.assertEqual(['a1_disk', 'b1_disk'], [row['Disk'] for row in json.loads(out)])

    def test_disks_are_made_flat_one_after_the_other_with_a_pause(self):
        code, out, _err = self.run_command('flatten', '--all', '--pause', '7')
        self.assertEqual((0, [0, 0], 21), (code, self.clones(), self.clock.now))
        self.assertIn('is flat (4 of 4)', out)

    def test_only_what_is_named_is_made_flat(self):
        self.assertEqual(0, self.run_command('flatten', self.made[0].name)[0])
        self.assertEqual([0, 2], self.clones())

    def test_nothing_is_made_flat_unless_it_is_named_or_all_are_wanted(self):
        for arguments in ((), ('--all', self.made[0].name), ('a0_disk',), ('--all', '--pause', '-1'),
                          (site_image_record.new_name('x'),)):
            try:
                code, _out, _err = self.run_command('flatten', *arguments)
            except SystemExit as error:
                code = error.code
            self.assertEqual(2, code, arguments)
        self.assertEqual([2, 2], self.clones())

    def test_disk_that_cannot_be_made_flat_is_named_and_the_others_go_on(self):
        def fail(step):
            if step == 'flatten':
                self.ceph.rbd.before = lambda step: None
                raise self.ceph.rbd.Error('no space')
        self.ceph.rbd.before = fail
        code, _out, err = self.run_command('flatten', '--all')
        self.assertEqual((1, 1), (code, sum(self.clones())))
        self.assertIn('vms/', err)
        self.assertIn('no space', err)
