# SPDX-License-Identifier: Apache-2.0
"""Whether Cinder's drivers can carry the hook, and what its credentials may do in Glance."""

import os
import sys

from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import cinder_backends
from multistore_hooks.status.checks import copy_image
from multistore_hooks.status.facts import cinder_drivers
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import live_glance
from tests.unit.status import base

MODULE = '''
class Plain(object):
    def __init__(self, *, configuration):
        raise AssertionError('no driver is set up by a check')

class Slotted(object):
    __slots__ = ('x',)

class Proxy(object):
    def __new__(cls, *args, **kwargs):
        return Plain()

class PlacesUploads(object):
    pass

class Mixed(PlacesUploads, Plain):
    pass

def factory(**kwargs):
    return Plain()

print('a driver that prints')
'''
RBD = 'class RBDDriver(object):\n    pass\nclass Own(RBDDriver):\n    pass\n'


class DriversTest(base.CheckCase):

    def setUp(self):
        super().setUp()
        self.file('vendor.py', MODULE)
        self.file('lab_site/__init__.py', '')
        self.file('lab_site/drivers/__init__.py', '')
        self.file('lab_site/drivers/rbd.py', RBD)

    def ask(self, *paths):
        return cinder_drivers.examine(sys.executable, paths, self.folder)

    def test_which_classes_carry_the_hook(self):
        paths = ['vendor.Plain', 'vendor.Mixed', 'vendor.Slotted', 'vendor.Proxy', 'vendor.factory',
                 'vendor.Nothing', 'no_module.X', 'lab_site.drivers.rbd.Own']
        drivers = self.ask(*paths)
        self.assertEqual(['carries', 'carries', 'refuses', 'later', 'later', 'unknown', 'unknown', 'carries'],
                         [drivers[path].kind for path in paths])
        self.assertEqual([False] * 7 + [True], [drivers[path].is_rbd for path in paths])
        self.assertIn('layout', drivers['vendor.Slotted'].why)

    def test_an_interpreter_that_is_not_there(self):
        self.assertRaises(host.Undetermined, cinder_drivers.examine, os.path.join(self.folder, 'none'),
                          ['vendor.Plain'])

    def check(self, text):
        facts = self.facts(cinder=self.cinder(text))
        python = host.Interpreter(sys.executable, '', '', (), {})
        facts._services['cinder'] = gather.Service([], python, 'how', self.folder)
        return cinder_backends.check_drivers(facts)

    def test_a_driver_that_cannot_and_one_that_can(self):
        text = '[DEFAULT]\nenabled_backends = a\n[a]\nvolume_driver = vendor.%s\n'
        self.assertIn('[a] volume_driver: vendor.Slotted cannot carry the hook',
                      self.texts(self.check(text % 'Slotted'), 2))
        self.assertIn('carry the hook: vendor.Plain', self.texts(self.check(text % 'Plain'), 0))

    def test_a_store_that_is_named_for_another_driver_than_rbd(self):
        text = '[DEFAULT]\nenabled_backends = a\n[a]\nrbd_glance_store_name = s\nvolume_driver = %s\n'
        self.assertIn('[a] rbd_glance_store_name: has no effect, because vendor.Plain is not the RBD driver',
                      self.texts(self.check(text % 'vendor.Plain'), 2))
        self.texts(self.check(text % 'lab_site.drivers.rbd.Own'), 0)

    def test_what_is_made_at_the_start_is_no_fault_and_what_is_not_importable_is_not_judged(self):
        text = '[DEFAULT]\nenabled_backends = a\n[a]\nvolume_driver = %s\n'
        self.assertIn('when cinder-volume starts', self.texts(self.check(text % 'vendor.Proxy'), 0))
        self.assertIn('cannot determine', self.texts(self.check(text % 'no_module.X'), 1))

    def test_driver_of_the_defaults_section(self):
        cinder = self.cinder('[DEFAULT]\nenabled_backends = a, b\n[backend_defaults]\nvolume_driver = x.Y\n'
                             'rbd_user = u\n[b]\nrbd_user = v\n')
        a, b = config_files.backends(cinder)
        self.assertEqual(('x.Y', 'u', 'x.Y', 'v'), (a.get('volume_driver'), a.get('rbd_user'),
                                                    b.get('volume_driver'), b.get('rbd_user')))
        self.assertIn('[backend_defaults] rbd_user', a.where('rbd_user'))

    def test_without_a_file_it_is_skipped(self):
        self.assertTrue(cinder_backends.check_drivers(self.facts())[0].skipped)
        self.assertTrue(cinder_backends.check_credentials(self.facts())[0].skipped)


class _Images:
    def __init__(self, copy, locations=None):
        self.errors = {'copy': copy, 'locations': locations}

    def copy(self, image_id, stores):
        raise self.errors['copy']

    def locations(self, image_id):
        if self.errors['locations']:
            raise self.errors['locations']
        return ()


class CredentialsTest(base.CheckCase):

    STORE = ('[DEFAULT]\nenabled_backends = a\n[a]\nvolume_driver = cinder.volume.drivers.rbd.RBDDriver\n'
             'rbd_glance_store_name = s\n')
    ALLOWED = api.error_for(409, live_glance.NO_STORE)
    REFUSED = api.error_for(403, 'forbidden by policy')
    IMAGE = {'id': 'i', 'status': 'active', 'disk_format': 'raw', 'container_format': 'bare'}

    def check(self, text, copy=None, locations=None, glance=None):
        connection = type('Connection', (), {'images': _Images(copy or self.ALLOWED, locations),
                                             'source': 'cinder.conf'})
        self.groups = []

        def connection_of(conf, group):
            self.groups.append(group)
            return connection

        self.patch(copy_image, 'connection_of', connection_of)
        return cinder_backends.check_credentials(self.facts(
            cinder=self.cinder(text), cloud=base.Responses(images=[self.IMAGE]),
            glance=self.glance(glance) if glance is not None else None))

    def test_the_token_of_a_user_is_not_enough(self):
        self.assertIn('Cinder requests copies with nothing but the token of the user who creates the volume',
                      self.texts(self.check(self.STORE), 2))
        self.file('policy.yaml', 'copy_image: "role:admin or service_roles:service"\n')
        text = self.STORE + '[service_user]\nsend_service_user_token = true\n'
        self.assertIn('accepts the service token of Cinder', self.texts(self.check(
            text, glance='[oslo_policy]\npolicy_file = policy.yaml\n'), 0))

    def test_credentials_that_may_not_copy_and_then_may(self):
        text = self.STORE + '[multistore_hooks]\nauth_type = password\n'
        self.assertIn('[multistore_hooks] auth_type: the policy copy_image of Glance refuses these '
                      'credentials', self.texts(self.check(text, self.REFUSED), 2))
        self.texts(self.check(text), 0)
        self.assertEqual(['multistore_hooks'], self.groups)

    def test_cinders_own_credentials_copy_where_there_are_no_others_and_read_locations(self):
        text = self.STORE + '[glance]\nauth_type = password\n'
        self.texts(self.check(text), 0)
        self.assertEqual(['glance', 'glance'], self.groups)
        self.assertIn('[glance] auth_type: the policy fetch_image_location of Glance refuses',
                      self.texts(self.check(text, locations=self.REFUSED), 2))

    def test_credentials_that_are_not_accepted(self):
        text = self.STORE + '[glance]\nauth_type = password\n'
        self.assertIn('Correct the credentials', self.texts(
            self.check(text, locations=api.error_for(401, 'who is that')), 2))

    def test_rbd_backend_that_sees_no_location(self):
        text = self.STORE.replace('rbd_glance_store_name = s\n', '')
        reported = self.texts(self.check(text, glance='[DEFAULT]\nshow_multiple_locations = false\n'), 1)
        self.assertIn('the backends a download each image', reported)
        for mended, glance in ((self.STORE + '[multistore_hooks]\nauth_type = x\n', ''),
                               (text + '[glance]\nauth_type = x\n', ''),
                               (text, '[DEFAULT]\nshow_image_direct_url = true\n')):
            self.texts(self.check(mended, glance=glance), 0)
