# SPDX-License-Identifier: Apache-2.0
"""The filter in paste files of every form that Glance has had."""

import fixtures

from multistore_hooks.status.checks import pipeline
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import paste
from tests.unit.status import base

FILTERS = '''
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:ours]
paste.filter_factory = multistore_hooks.glance.base_image_filter:filter_factory
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
'''
# Train to Zed.
OLD = '''
[pipeline:glance-api]
pipeline = healthcheck %(plain)s rootapp
[pipeline:glance-api-keystone]
pipeline = healthcheck %(keystone)s  rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
''' + FILTERS
# Antelope and later.
NEW = '''
[composite:glance-api]
paste.composite_factory = glance.api:root_app_factory
/: api
/healthcheck: healthcheck
[composite:glance-api-keystone]
paste.composite_factory = glance.api:root_app_factory
/: api
/healthcheck: healthcheck
[composite:api]
paste.composite_factory = glance.api:pipeline_factory
default = %(plain)s rootapp
keystone = %(keystone)s rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
''' + FILTERS


class PasteTest(base.CheckCase):

    def decide(self, form, keystone, flavor='keystone', plain='context'):
        path = self.file('paste.ini', form % {'plain': plain, 'keystone': keystone})
        found, there = pipeline.decide_filter(paste.read(path), flavor, 'paste.ini')
        self.there = there
        return found

    def test_after_the_context(self):
        for form in (OLD, NEW):
            self.assertEqual([], self.decide(form, 'authtoken context ours'))
            self.assertTrue(self.there)

    def test_before_the_context(self):
        for form in (OLD, NEW):
            self.assertIn('has ours before context',
                          self.texts(self.decide(form, 'authtoken ours context'), 2))

    def test_defined_but_not_there(self):
        for form in (OLD, NEW):
            self.assertIn('the file defines it, as ours',
                          self.texts(self.decide(form, 'authtoken context'), 2))

    def test_in_another_flavor_s_pipeline(self):
        for form in (OLD, NEW):
            self.texts(self.decide(form, 'authtoken context ours', flavor=None), 2)

    def test_without_flavor(self):
        for form in (OLD, NEW):
            self.assertEqual([], self.decide(form, 'x', flavor=None, plain='context ours'))

    def test_twice(self):
        self.assertIn('twice', self.texts(self.decide(OLD, 'context ours ours'), 2))

    def test_not_mentioned_is_a_warning(self):
        form = OLD.replace('ours', 'other').replace('multistore_hooks.glance', 'another')
        self.assertIn('define [filter:base_image]', self.texts(self.decide(form, 'context'), 1))

    def test_flavor_that_is_not_there(self):
        self.assertIn("no application for the flavor 'x'", self.texts(self.decide(OLD, 'a', 'x'), 2))

    def test_filter_named_by_its_egg(self):
        form = NEW.replace('paste.filter_factory = multistore_hooks.glance.base_image_filter:'
                           'filter_factory', 'use = egg:multistore-hooks#base_image')
        self.assertEqual([], self.decide(form, 'context ours'))

    def test_file_that_refers_to_itself_ends(self):
        self.decide('[composite:glance-api-keystone]\n/: glance-api-keystone\n', '')

    def test_what_is_no_paste_file_is_one_line(self):
        for path in (self.folder, self.folder + '/none', self.file('x.ini', 'nothing\n')):
            error = self.assertRaises(paste.Unreadable, paste.read, path)
            self.assertNotIn('\n', str(error))


class RunningTest(base.CheckCase):
    """The file against what the running Glance announces."""

    def check(self, keystone, follows):
        self.useFixture(fixtures.MockPatchObject(host, 'processes', return_value=[]))
        self.useFixture(fixtures.MockPatchObject(host, 'installed', return_value=None))
        self.file('glance-api-paste.ini', NEW % {'plain': 'context', 'keystone': keystone})
        glance = self.glance('[paste_deploy]\nflavor = keystone\n')
        return pipeline.check_filter(self.facts(glance=glance, cloud=base.Responses(follows=follows)))

    def test_both(self):
        self.assertIn('and the running Glance announces it',
                      self.texts(self.check('context ours', True), 0))

    def test_file_alone(self):
        self.assertIn('the running Glance at http://glance does not announce it',
                      self.texts(self.check('context ours', False), 2))

    def test_running_glance_alone(self):
        self.assertIn('gone after the next restart', self.texts(self.check('context', True), 2))


class PasteFileTest(base.CheckCase):

    def test_beside_the_configuration_file(self):
        path = self.file('glance-api-paste.ini', '')
        self.assertEqual(path, pipeline.paste_file(self.glance('')))

    def test_named(self):
        glance = self.glance('[paste_deploy]\nconfig_file = /srv/paste.ini\n')
        self.assertEqual('/srv/paste.ini', pipeline.paste_file(glance))
