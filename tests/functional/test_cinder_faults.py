# SPDX-License-Identifier: Apache-2.0
"""Glance fails at every request of an upload in turn: nothing is lost, left behind, or not reported.

After each case the volume is as before; there is one whole image, or none; no clone is left; and what went
wrong stands in the response or in the log. A part of the cases; all with CINDER_FAULTS=all, which takes
some minutes.
"""

import collections
import contextlib
import os
import re
import sys

from lab.cinder import client
from lab import poll
from lab.poll import LabError
from tests.functional import test_cinder_clone

STATUSES = (400, 403, 404, 410, 413, 500)
#: What Cinder tries again: once, and then it succeeds; or as often as it tries.
AGAIN = ({'status': 503}, {'action': 'reset'}, {'action': 'reset', 'at': 'after'},
         {'action': 'hang', 'seconds': 30})
ATTEMPTS = 2
IDS = re.compile('[0-9a-f]{8}-[0-9a-f-]{27}')
# There are requests that hang, which have to be ended, among all faults only.
PATIENCE = {'glance_num_retries': str(ATTEMPTS - 1),
            'glance_request_timeout': 3 if os.environ.get('CINDER_FAULTS') == 'all' else poll.SECONDS}
KEY = 'image_service:store_id'


def faults(number):
    """Return ways in which a request fails, as arguments of Glance.fault(): all, or another one each time.

    :param number: of the request, from 0.
    """
    if os.environ.get('CINDER_FAULTS') != 'all':
        some = ({'status': 404}, {'action': 'reset', 'at': 'after', 'times': ATTEMPTS}, {'status': 500})
        return [some[number % len(some)]]
    found = [{'status': status} for status in STATUSES]
    return found + [dict(fault, times=times) for fault in AGAIN for times in (1, ATTEMPTS)]


def signs(fault):
    """Return a regular expression of which something must stand in the error."""
    if fault.get('action') == 'reset':
        return 'reset|abort|RemoteDisconnected|closed|Connection to glance failed|409|Broken pipe'
    if fault.get('action') == 'hang':
        return 'timed out|Timeout|timeout|Connection to glance failed'
    # What Glance says on discovery with a 404, and what the API says then.
    return '404|does not have several stores' if fault['status'] == 404 else str(fault['status'])


class Steps(collections.namedtuple('Steps', 'requests')):
    """The requests of an upload that goes well: (method, pattern of the path, how many such before)."""

    @classmethod
    def of(cls, notes):
        seen = collections.Counter()
        steps = []
        for note in notes:
            path = '^%s$' % IDS.sub('[0-9a-f-]+', note['path'])
            # Only whoever changes or reads an image; the schemas are glanceclient's own affair.
            steps.append((note['method'], path, seen[note['method'], path]))
            seen[note['method'], path] += 1
        return cls(steps)


class FaultTest(test_cinder_clone.CloneTestCase):
    """Cases share one Cinder and one Glance: starting them takes longer than a case."""

    def run_cases(self, what, upload):
        """Let each request of an upload fail in every way; check what is left each time, and count."""
        # A clone for each case: more than a project may have.
        self.cinder.request('PUT', '/os-quota-sets/' + client.PROJECT, {'quota_set': {
            'volumes': -1, 'gigabytes': -1}}, client.ADMIN)
        self.glance.forget_requests()
        upload()
        steps = Steps.of(self.glance.requests())
        cases = failed = 0
        for number, (method, path, skip) in enumerate(steps.requests):
            for fault in faults(number):
                cases += 1
                failed += self.run_case('%s %s[%d] %s' % (method, path, skip, fault), upload,
                                        dict(fault, method=method, path=path, skip=skip))
        sys.stderr.write('\n%s: %d requests, %d cases, of which %d uploads failed and were cleaned up\n'
                         % (what, len(steps.requests), cases, failed))
        self.assertLess(0, failed)
        self.assertLess(failed, cases)

    def run_case(self, name, upload, fault):
        """Return whether the upload failed."""
        before = self.images()
        logged, messages = len(self.cinder.log), len(self.cinder.messages())
        self.glance.fault(**fault)
        try:
            said = upload()
        finally:
            self.glance.clear_faults()
        new = self.settled(before)
        reported = said + self.cinder.log[logged:]
        left = set(self.clones().values()) - before - new
        self.assertEqual(set(), left, name)
        if not new:
            self.assertTrue(re.search(signs(fault), reported), '%s:\n%s' % (name, reported[-3000:]))
            return 1
        image = self.glance.image(new.pop())
        self.assertEqual((set(), 'active'), (new, image['status']), '%s:\n%s' % (name, reported[-3000:]))
        self.assert_whole(image, name)
        # An image that is there was not reported as failed.
        self.assertEqual(messages, len(self.cinder.messages()), name)
        return 0

    def settled(self, before):
        """Return the new images, once they are active or gone.

        The volume is back before the volume service has seen to the image's record.
        """
        def settled():
            new = self.images() - before
            found = [self.glance.request('GET', '/v2/images/' + image) for image in new]
            return all(one.status == 200 and one.json()['status'] == 'active' for one in found)
        with contextlib.suppress(LabError):
            poll.until('end of the upload', settled)
        return self.images() - before

    def until(self, condition):
        """Wait for a condition."""
        poll.until('it', condition)

    def assert_whole(self, image, name):
        clones = self.clones_of(image['id'])
        if not clones:
            self.assertNotEqual(set(), self.where(image['id']), '%s: %s' % (name, image))
        for clone in clones:
            with open(self.cinder.path_of(clone), 'rb') as file:
                self.assertEqual(self.content, file.read(), name)

    def uploading(self, volume, token=client.MEMBER):
        """Return a function that uploads a volume and returns what the API said if it refused."""
        action = {'os-volume_upload_image': {'image_name': 'x', 'disk_format': 'raw',
                                             'container_format': 'bare'}}

        def upload():
            try:
                self.cinder.request('POST', '/volumes/%s/action' % volume, action, token)
            except client.Refused as error:
                self.assertIn(error.status, (400,), error)
                self.assertEqual('available', self.cinder.volume(volume)['status'])
                return str(error)
            self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
            return ''
        return upload

    def test_upload_to_the_store_of_the_type(self):
        self.start(True, client.MEMBER, DEFAULT=PATIENCE, directory={})
        self.cinder.create_type('files', {KEY: 'cheap'})
        volume = self.volume_with_bytes(self.cinder, volume_type='files')
        self.run_cases('upload to a named store', self.uploading(volume))

    def test_upload_to_the_store_of_the_base_image(self):
        self.start(True, client.MEMBER, DEFAULT=PATIENCE, directory={})
        volume = self.volume_with_bytes(self.cinder, image=self.base_image('cheap'))
        self.run_cases('upload to the store of the base image', self.uploading(volume))

    def test_clone_where_locations_are_shown(self):
        self.start(True, client.MEMBER, DEFAULT=PATIENCE)
        self.cinder.create_type('gold', {KEY: 'gold'})
        volume = self.volume_with_bytes(self.cinder, volume_type='gold')
        self.run_cases('clone, older call', self.uploading(volume))

    def test_clone_where_locations_are_hidden(self):
        self.start(False, test_cinder_clone.SERVICE, DEFAULT=PATIENCE)
        volume = self.volume_with_bytes(self.cinder, volume_type=self.cinder.create_type('silver')
                                        and 'silver')
        self.run_cases('clone, newer call', self.uploading(volume, test_cinder_clone.SERVICE))

    def test_a_record_that_cannot_be_deleted_is_logged_with_its_id(self):
        self.start(True, client.MEMBER, DEFAULT=PATIENCE, directory={})
        volume = self.volume_with_bytes(self.cinder)
        cases = 0
        for fault, left in (({'status': 500}, False), ({'status': 500, 'times': None}, True),
                            ({'status': 403, 'times': None}, True), ({'status': 503, 'times': None}, True),
                            ({'action': 'reset', 'times': None}, True)):
            cases += 1
            before = self.images()
            self.glance.fault('PUT', '/file$', status=500)
            self.glance.fault('DELETE', '/v2/images/', **fault)
            logged = len(self.cinder.log)
            self.uploading(volume)()
            self.until(lambda: self.images() == before or 'could not be deleted' in self.cinder.log[logged:])
            new = self.images() - before
            self.assertEqual(left, bool(new), fault)
            for image in new:
                self.assertIn('The record of image %s, which got no data, could not be deleted' % image,
                              self.cinder.log[logged:])
            self.glance.clear_faults()
        sys.stderr.write('\nclean-up: %d cases\n' % cases)

    def test_a_protected_record_without_data_is_deleted_too(self):
        self.start(True, client.MEMBER, DEFAULT=PATIENCE, directory={})
        volume = self.volume_with_bytes(self.cinder)
        before = self.images()
        self.glance.fault('PUT', '/file$', status=500)
        self.cinder.request('POST', '/volumes/%s/action' % volume, {'os-volume_upload_image': {
            'image_name': 'x', 'disk_format': 'raw', 'container_format': 'bare', 'protected': True,
            'visibility': 'private'}})
        self.cinder.wait_volume(volume)
        self.until(lambda: self.images() == before)
