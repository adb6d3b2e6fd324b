# SPDX-License-Identifier: Apache-2.0
"""Findings about Glance's stores."""

import os

from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import shared_directories
from multistore_hooks.status.checks import stores
from multistore_hooks.status.facts import host
from tests.unit.status import base

DCN = (api.Store('dcn1', default=True), api.Store('dcn10'), api.Store('web', read_only=True))
TWO_FILES = ('[DEFAULT]\nenabled_backends = a:file, b:file\n[glance_store]\ndefault_backend = a\n'
             '[os_glance_staging_store]\nfilesystem_store_datadir = {0}/staging\n'
             '[os_glance_tasks_store]\nfilesystem_store_datadir = {0}/tasks\n')


class SeveralTest(base.CheckCase):

    def check(self, **given):
        return stores.check_several(self.facts(**given))

    def test_several_with_a_default(self):
        self.assertIn('dcn1 (default), dcn10, web (read-only)',
                      self.texts(self.check(cloud=base.Responses(DCN)), 0))

    def test_one_store_without_discovery(self):
        self.assertIn('no discovery of stores (404)', self.texts(self.check(cloud=base.Responses()), 2))

    def test_one_store_only(self):
        self.assertIn('one store only', self.texts(self.check(cloud=base.Responses(DCN[:1])), 1))

    def test_no_default(self):
        self.assertIn('no store is the default', self.texts(self.check(cloud=base.Responses(DCN[1:])), 2))

    def test_default_that_is_no_store_is_found_by_the_file_alone(self):
        glance = self.glance('[DEFAULT]\nenabled_backends = a:file\n'
                             '[glance_store]\ndefault_backend = A\n')
        self.assertIn("default_backend: is 'A', which is none of enabled_backends: a",
                      self.texts(self.check(glance=glance), 2))

    def test_what_was_not_checked_is_no_failure(self):
        self.assertIn('Skipped', self.texts(self.check(), 0))


class NamedTest(base.CheckCase):

    def check(self, **given):
        return stores.check_named(self.facts(**given))

    def test_all_that_name_a_store_are_looked_at(self):
        nova = self.nova('[multistore_hooks]\nsnapshot_store = x1\n'
                         '[libvirt]\nimages_rbd_glance_store_name = x2\n')
        cinder = self.cinder('[multistore_hooks]\nupload_store = x3\n')
        types = [{'name': 'gold', 'extra_specs': {'image_service:store_id': 'x4'}},
                 {'name': 'none', 'extra_specs': {}}, {'name': 'old'}]
        text = self.texts(self.check(nova=nova, cinder=cinder, cloud=base.Responses(DCN, types=types)), 2)
        for option, store in (('snapshot_store', 'x1'), ('images_rbd_glance_store_name', 'x2'),
                              ('upload_store', 'x3'), ('image_service:store_id', 'x4')):
            self.assertIn("%s: names the Glance store '%s'" % (option, store), text)
        self.assertIn('Name one of: dcn1, dcn10.\n', text + '\n')

    def test_part_of_a_name_is_not_the_name(self):
        nova = self.nova('[libvirt]\nimages_rbd_glance_store_name = dcn\n')
        self.assertIn('does not exist', self.texts(self.check(nova=nova, cloud=base.Responses(DCN)), 2))

    def test_slip_of_the_pen_is_guessed(self):
        cinder = self.cinder('[multistore_hooks]\nupload_store = DCN-10\n')
        text = self.texts(self.check(cinder=cinder, cloud=base.Responses(DCN)))
        self.assertIn("does not exist (did you mean 'dcn10'?)", text)

    def test_read_only(self):
        cinder = self.cinder('[multistore_hooks]\nupload_store = web\n')
        self.assertIn('read-only. Name one of: dcn1, dcn10',
                      self.texts(self.check(cinder=cinder, cloud=base.Responses(DCN)), 2))

    def test_without_glance_the_file_decides(self):
        glance = self.glance('[DEFAULT]\nenabled_backends = a:file, w:http\n')
        nova = self.nova('[multistore_hooks]\nsnapshot_store = w\n')
        self.assertIn('read-only', self.texts(self.check(nova=nova, glance=glance), 2))

    def test_types_that_cinder_does_not_list_cannot_be_determined(self):
        text = self.texts(self.check(cinder=self.cinder(''), cloud=base.Responses(DCN, types=None)), 1)
        self.assertIn('cannot determine', text)

    def test_good_names(self):
        nova = self.nova('[multistore_hooks]\nsnapshot_store = dcn10\n')
        self.assertIn('dcn10', self.texts(self.check(nova=nova, cloud=base.Responses(DCN)), 0))


class DriversTest(base.CheckCase):

    def test_store_whose_driver_was_skipped(self):
        text = self.texts(stores.check_drivers(self.facts(cloud=base.Responses(DCN, skipped=['dcn10']))), 2)
        self.assertIn("has not loaded the driver of the store 'dcn10'", text)

    def test_details_that_fail_say_that_a_store_is_disabled(self):
        cloud = base.Responses(DCN)
        cloud.details_fail = True
        self.assertIn('is disabled', self.texts(stores.check_drivers(self.facts(cloud=cloud)), 1))

    def test_file_and_glance_differ(self):
        glance = self.glance('[DEFAULT]\nenabled_backends = dcn1:rbd, dcn2:rbd, dcn10:file, web:http\n')
        cloud = base.Responses(DCN, details={'dcn1': {'type': 'file'}, 'dcn10': {'type': 'file'}})
        text = self.texts(stores.decide_same(glance, cloud.stores(), cloud), 2)
        self.assertIn('does not have: dcn2', text)
        self.assertIn('dcn1 (file: rbd, Glance: file)', text)
        self.assertNotIn('dcn10 (', text)

    def test_library_that_the_interpreter_of_glance_lacks(self):
        packages = {'rados': '/x/rados.so', 'rbd': None}
        python = host.Interpreter('/v/bin/python', '/v', '3.11', (), packages)
        text = self.texts(stores.decide_libraries({'a': 'rbd', 'b': 'file'}, python, 'here'), 2)
        self.assertIn('has no rbd', text)
        self.assertNotIn('rados', text)


class PlacesTest(base.CheckCase):

    def check(self, text):
        return shared_directories.check_directories(self.facts(glance=self.glance(text.format(self.folder))))

    def two(self, a, b):
        return self.check(TWO_FILES + '[a]\nfilesystem_store_datadir = %s\n'
                                      '[b]\nfilesystem_store_datadir = %s\n' % (a, b))

    def test_apart(self):
        self.assertIn('all are apart', self.texts(self.two('{0}/a', '{0}/b'), 0))

    def test_beginning_of_a_path_is_not_the_path(self):
        self.assertIn('all are apart', self.texts(self.two('{0}/a', '{0}/ab'), 0))

    def test_same_with_a_slash_more(self):
        self.assertIn("the store 'a' and the store 'b' share a directory",
                      self.texts(self.two('{0}/a', '{0}//a/'), 2))

    def test_same_by_a_link(self):
        os.mkdir(os.path.join(self.folder, 'a'))
        os.symlink('a', os.path.join(self.folder, 'b'))
        self.assertIn('share a directory', self.texts(self.two('{0}/a', '{0}/b'), 2))

    def test_same_by_a_link_to_what_is_not_there_yet(self):
        os.symlink('a', os.path.join(self.folder, 'b'))
        self.assertIn('share a directory', self.texts(self.two('{0}/a', '{0}/b'), 2))

    def test_same_by_the_kernel_s_word(self):
        # As of a bind mount: other paths, one inode.
        one = shared_directories.Directory('one', '/a', 'x', '/a', (1, 2))
        self.assertEqual(1, len(shared_directories.decide_directories([one, one._replace(path='/b')])))

    def test_one_inside_the_other(self):
        self.assertIn('one inside the other', self.texts(self.two('{0}/a', '{0}/a/b'), 2))

    def test_staging(self):
        self.assertIn('share a directory', self.texts(self.two('{0}/staging', '{0}/b'), 2))

    def test_directories_with_priorities(self):
        text = TWO_FILES + ('[a]\nfilesystem_store_datadirs = {0}/x:100\n'
                            'filesystem_store_datadirs = {0}/y:200\n'
                            '[b]\nfilesystem_store_datadir = {0}/y\n')
        self.assertIn('share a directory', self.texts(self.check(text), 2))

    def test_store_without_a_directory(self):
        self.assertIn("the store 'a' has no directory", self.texts(self.check(TWO_FILES), 2))

    def test_file_in_the_way(self):
        self.file('a', '')
        self.assertIn('is not a directory', self.texts(self.two('{0}/a/b', '{0}/c'), 2))

    def test_two_rbd_stores_on_one_pool(self):
        text = '[DEFAULT]\nenabled_backends = a:rbd, b:rbd\n[b]\nrbd_store_pool = %s\n'
        self.assertIn('share the pool images', self.texts(self.check(text % 'images'), 2))
        self.assertNotIn('share the pool', self.texts(self.check(text % 'other')))

    def test_two_http_stores(self):
        self.assertIn('several http stores', self.texts(self.check(
            '[DEFAULT]\nenabled_backends = a:http, b:http\n'), 1))
