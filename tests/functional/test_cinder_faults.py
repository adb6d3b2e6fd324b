# SPDX-License-Identifier: Apache-2.0
"""Glance fails at every request of an upload in turn: nothing is lost, left behind, or not reported.

After each case the volume is as before; there is one whole image, or none; no clone is left; and what went
wrong stands in the response or in the log. One way to fail for each request; in the environment:

- CINDER_FAULTS=all: every way;
- CINDER_FAULTS_STOCK=1: stock Cinder, of which nothing is expected, in place of ours: its counts;
- CINDER_FAULTS_PART=2/5: the second of five parts of the cases, as all of them take some minutes.
"""

import collections
import contextlib
import os
import re
import sys
import unittest

from lab.cinder import client
from lab import poll
from lab.poll import LabError
from tests.functional import test_cinder_clone
from tests.functional import test_cinder_direct_upload

STATUSES = (400, 403, 404, 410, 413, 500)
#: What Cinder tries again: once, and then it succeeds; or as often as it tries.
AGAIN = ({'status': 503}, {'action': 'reset'}, {'action': 'reset', 'at': 'after'},
         {'action': 'hang', 'seconds': 30})
ATTEMPTS = 2
IDS = re.compile('[0-9a-f]{8}-[0-9a-f-]{27}')
ALL, STOCK = os.environ.get('CINDER_FAULTS') == 'all', bool(os.environ.get('CINDER_FAULTS_STOCK'))
PART, PARTS = (int(number) for number in os.environ.get('CINDER_FAULTS_PART', '1/1').split('/'))
# There are requests that hang, which have to be ended, among all faults only.
PATIENCE = {'glance_num_retries': str(ATTEMPTS - 1), 'glance_request_timeout': 3 if ALL else poll.SECONDS}
#: How long an end is waited for. Of stock it may never come: after that, it counts as left.
LIMIT = 20 if STOCK else poll.SECONDS
KEY = 'image_service:store_id'


def faults(number):
    """Return ways in which a request fails, as arguments of Glance.fault(): all, or another one each time.

    :param number: of the request, from 0.
    """
    if not ALL:
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


#: What may be wrong after a case.
LEFT, INCOMPLETE, SILENT, FALSE_FAILURE, STUCK = (
    'something left', 'an image without its data', 'an error not reported', 'a success reported as failed',
    'the volume not as before')


class Cases:
    """Mixin: cases share one Cinder and one Glance, as starting them takes longer than a case."""

    def run_cases(self, what, upload):
        """Let each request of an upload fail in every way; check what is left each time, and count."""
        # A clone for each case: more than a project may have.
        self.cinder.request('PUT', '/os-quota-sets/' + client.PROJECT, {'quota_set': {
            'volumes': -1, 'gigabytes': -1}}, client.ADMIN)
        self.glance.forget_requests()
        upload()
        steps = Steps.of(self.glance.requests())
        cases = [(step, fault) for number, step in enumerate(steps.requests) for fault in faults(number)]
        counts = collections.Counter()
        for (method, path, skip), fault in cases[PART - 1::PARTS]:
            counts.update(self.run_case('%s %s[%d] %s' % (method, path, skip, fault), upload,
                                        dict(fault, method=method, path=path, skip=skip)))
        sys.stderr.write('\n%s, %s: %d requests, %s\n' % (
            'stock' if STOCK else 'ours', what, len(steps.requests),
            ', '.join('%d %s' % (counts[one], one) for one in (
                'cases', 'uploads failed', LEFT, INCOMPLETE, SILENT, FALSE_FAILURE, STUCK))))
        self.assertLess(counts['uploads failed'], counts['cases'])
        if not ALL and not STOCK:
            self.assertLess(0, counts['uploads failed'])

    def run_case(self, name, upload, fault):
        """Return what came of it, in words; of ours the test fails if something is wrong."""
        before = self.images()
        there = self.leftovers(before)
        logged, messages = len(self.cinder.log), len(self.cinder.messages())
        self.glance.fault(**fault)
        try:
            said = upload()
        finally:
            self.glance.clear_faults()
        new = self.settled(before)
        reported = said + self.cinder.log[logged:]
        found = self.judge(fault, new, reported, messages < len(self.cinder.messages()))
        with contextlib.suppress(LabError):
            poll.until('end of what was made', lambda: not self.leftovers(before | new) - there, LIMIT)
        if self.leftovers(before | new) - there:
            found.add(LEFT)
        if not self.is_as_before():
            found.add(STUCK)
        if not STOCK:
            self.assertEqual(set(), found, '%s:\n%s' % (name, reported[-3000:]))
        return found | {'cases'} | (set() if new else {'uploads failed'})

    def judge(self, fault, new, reported, has_message):
        """Return what is wrong with the images that an upload made."""
        if not new:
            return set() if re.search(signs(fault), reported) else {SILENT}
        records = [self.glance.image(image) for image in new]
        found = set()
        for record in records:
            if record['status'] != 'active' or len(new) > 1:
                found.add(LEFT)
            elif not self.is_whole(record):
                found.add(INCOMPLETE)
        # An image that is there was not reported as failed.
        return found | ({FALSE_FAILURE} if not found and has_message else set())

    def settled(self, before):
        """Return the new images, once they are active or gone.

        The volume is back before the volume service has seen to the image's record.
        """
        def settled():
            new = self.images() - before
            found = [self.glance.request('GET', '/v2/images/' + image) for image in new]
            return all(one.status == 200 and one.json()['status'] == 'active' for one in found)
        with contextlib.suppress(LabError):
            poll.until('end of the upload', settled, LIMIT)
        return self.images() - before

    def uploading(self, volume, token=client.MEMBER):
        """Return a function that uploads a volume and returns what the API said if it refused."""
        action = {'os-volume_upload_image': {'image_name': 'x', 'disk_format': 'raw',
                                             'container_format': 'bare'}}
        self.volume_id = volume

        def upload():
            try:
                self.cinder.request('POST', '/volumes/%s/action' % volume, action, token)
            except client.Refused as error:
                if not STOCK:
                    self.assertIn(error.status, (400,), error)
                return str(error)
            with contextlib.suppress(LabError):
                self.cinder.wait_volume(volume, LIMIT)
            return ''
        return upload

    def is_as_before(self):
        """Return whether the volume is available; of stock it is made so, for the next case."""
        if self.cinder.volume(self.volume_id)['status'] == 'available':
            return True
        self.cinder.request('POST', '/volumes/%s/action' % self.volume_id,
                            {'os-reset_status': {'status': 'available'}}, client.ADMIN)
        return False


class FaultTest(Cases, test_cinder_clone.CloneTestCase):
    """Uploads of volumes in a directory, and clones of them as images."""

    def start(self, *arguments, **options):
        super().start(*arguments, stock=STOCK, **options)

    def leftovers(self, images):
        """Return the clones that are no image's."""
        return {clone for clone, image in self.clones().items() if image not in images or self.where(image)}

    def until(self, condition):
        """Wait for a condition."""
        poll.until('it', condition)

    def is_whole(self, image):
        """Return whether an image has the bytes of the volume."""
        clones = self.clones_of(image['id'])
        if not clones:
            return bool(self.where(image['id']))
        return all(self.content_of(clone) == self.content for clone in clones)

    def content_of(self, volume):
        with open(self.cinder.path_of(volume), 'rb') as file:
            return file.read()

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

    @unittest.skipIf(STOCK, 'stock deletes no record')
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

    @unittest.skipIf(STOCK, 'stock deletes no record')
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


class RbdFaultTest(Cases, test_cinder_direct_upload.DirectUploadTestCase):
    """Uploads inside a Ceph cluster; of stock, through Glance into the same store."""

    def leftovers(self, images):
        """Return the snapshots of the volume, and what is in Glance's pool and no image."""
        found = {line.split()[1] for line in
                 self.cluster.rbd('snap', 'ls', self.disk(self.volume_id)).splitlines()[1:]}
        return found | set(self.cluster.rbd('ls', 'images').split()) - images

    def is_whole(self, image):
        """Return whether an image has the bytes of the volume."""
        try:
            return self.cluster.read('images/%s@snap' % image['id'], len(self.data)) == self.data
        except LabError:
            return False

    def test_upload_inside_a_cluster(self):
        self.begin(default=PATIENCE, stock=STOCK)
        self.run_cases('upload inside a cluster', self.uploading(self.volume()))
