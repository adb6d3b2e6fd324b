# SPDX-License-Identifier: Apache-2.0
"""The check of a volume type's store."""

import webob.exc

from tests import fake_glance
from tests.unit.cinder import base

KEY = 'image_service:store_id'


class CheckTest(base.TestCase):

    stores = {'reliable': fake_glance.FILE, 'fast': fake_glance.FILE, 'web': fake_glance.READ_ONLY}

    def check(self, specs):
        from multistore_hooks.cinder import extra_specs
        extra_specs.check(None, specs)

    def test_glance_is_not_asked_for_what_names_no_store(self):
        for specs in (None, 'x', [KEY], {}, {'a': 'b', 'image_service:other': 'x'}):
            self.check(specs)
        self.assertEqual([], self.glance.log)

    def test_a_store_that_is_there_is_right(self):
        self.check({KEY: 'reliable'})

    def test_everything_wrong_is_told_at_once(self):
        error = self.assertRaises(webob.exc.HTTPBadRequest, self.check, {
            KEY: 'Fast', 'Image_Service:store-ids': 'fast'})
        self.assertEqual(
            "There is no extra spec 'Image_Service:store-ids': the key is image_service:store_id. "
            "The extra spec image_service:store_id names the Glance store 'Fast', which does not "
            "exist (did you mean 'fast'?). The stores are: reliable, fast (default), web (read-only).",
            error.explanation)

    def test_what_is_no_text_is_no_name(self):
        for value in (None, 7, ['fast'], '', '  '):
            error = self.assertRaises(webob.exc.HTTPBadRequest, self.check, {KEY: value})
            self.assertIn('is no name of a store', error.explanation)

    def test_glance_with_one_store(self):
        self.glance.stores = {}
        error = self.assertRaises(webob.exc.HTTPBadRequest, self.check, {KEY: 'fast'})
        self.assertIn('this Glance does not have several stores', error.explanation)

    def test_no_answer_is_no_consent(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/stores', 500))
        self.assertRaises(webob.exc.HTTPServiceUnavailable, self.check, {KEY: 'fast'})
