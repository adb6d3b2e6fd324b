# SPDX-License-Identifier: Apache-2.0
"""The check of a volume type's store."""

import testtools
import webob.exc

from multistore_hooks.cinder import extra_specs
from tests import fake_glance
from tests.unit.cinder import base

KEY = 'image_service:store_id'


class CheckTest(base.TestCase):

    stores = {'reliable': fake_glance.FILE, 'fast': fake_glance.FILE, 'web': fake_glance.READ_ONLY}

    def check(self, specs):
        extra_specs.check(None, specs)

    def test_glance_is_not_requested_what_names_no_store(self):
        for specs in (None, 'x', [KEY], {}, {'a': 'b', 'image_service:other': 'x'}):
            self.check(specs)
        self.assertEqual([], self.glance.log)

    def test_a_store_that_is_there_is_right(self):
        self.check({KEY: 'reliable'})

    def test_everything_wrong_is_reported_at_once(self):
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

    def test_no_response_is_no_consent(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/stores', 500))
        self.assertRaises(webob.exc.HTTPServiceUnavailable, self.check, {KEY: 'fast'})


class Request:
    """A request to Cinder's API by somebody whom these policies admit."""

    def __init__(self, *policies):
        self.environ = {'cinder.context': self}
        self._policies = policies

    def authorize(self, policy, fatal):
        return policy in self._policies


@testtools.skipIf(base.REAL, "Cinder's own controllers need its API")
class ControllerTest(base.TestCase):
    """Cinder's own refusal comes first: whoever may not write a type learns nothing about stores."""

    def controllers(self):
        descriptor = extra_specs.StoreValidation(None)
        return [extension.controller for extension in descriptor.get_controller_extensions()]

    def run_all(self, *policies):
        """Return how many of the three requests with a wrong store are refused."""
        types, specs = self.controllers()
        wrong, refused = {KEY: 'nowhere'}, 0
        for extension, body in ((types.create, {'volume_type': {'extra_specs': wrong}}),
                                (specs.create, {'extra_specs': wrong}), (specs.update, wrong)):
            try:
                next(extension(Request(*policies), body=body))
            except webob.exc.HTTPBadRequest:
                refused += 1
        return refused

    def test_wrong_stores_are_refused_in_a_type_and_in_its_extra_specs(self):
        """This Cinder has a policy for each change of a type, and none for all."""
        self.assertEqual(3, self.run_all('volume_extension:type_create',
                                         'volume_extension:types_extra_specs:create',
                                         'volume_extension:types_extra_specs:update'))

    def test_whoever_may_not_is_left_to_cinder(self):
        self.assertEqual(0, self.run_all())
        self.assertEqual([], self.glance.log)

    def test_a_body_that_is_none_is_left_to_cinder(self):
        types, specs = self.controllers()
        for body in (None, [], {'volume_type': None}):
            next(types.create(Request('volume_extension:type_create'), body=body))
        self.assertEqual([], self.glance.log)
