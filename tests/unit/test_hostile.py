# SPDX-License-Identifier: Apache-2.0
"""What users control, where it may get to, and which test attacks it. Those without a name are below.

======================================  ====================================  ==============================
What                                    May get into                          Test
======================================  ====================================  ==============================
The path of a request to Glance         A log line of the filter              glance.test_base_image_filter
X-OpenStack-Base-Image-Ref,             A log line, a sub-request's path      glance.test_base_image_filter
property base_image_ref
The id of an image                      A path                                glance_api.test_hostile
The name of a store                     A header                              glance_api.test_hostile
Texts of Glance's errors and tasks      A log line, an error                  glance_api.test_hostile
image_id among a volume's image         A path, a header, a log line          cinder.test_upload_request
metadata (os-set_image_metadata)
Names of images and snapshots           A terminal, a progress bar, CSV       cli.test_text, cli.test_image
image_size and other metadata of a      An error of Glance, a number          (here)
volume
A location (cinder://)                  A file name in attachment_dir         (here)
Content-Length of an upload             A number                              (here)
What Glance and Cinder say of images    The table of multistore-status        (here)
The text of an eviction's lock          A number, a signal                    (here)
======================================  ====================================  ==============================
"""

import io
import os

import hypothesis
from hypothesis import strategies
import testtools

from multistore_hooks.glance import request_body
from multistore_hooks.status import command
from multistore_hooks.status import finding
from multistore_hooks.stores import lock
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import volume_uri

VOLUME = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9'
#: Digits that are none to int(), signs, other writings of numbers, line ends, escapes, and much.
NUMBERS = ('', '²', '①', '٣', '-1', '+1', ' 1', '1_0', '1e9', '0x10', 'NaN', '9' * 250, '1\n',
           '1\x1b[31m', '\x00')
HOSTILE = ('', '.', '..', '/', '../../etc/passwd', '%2e%2e', 'a\nERROR b', '\x1b[31mred\x07', '\u202eabc',
           '\x00', '\ud800', 'x' * 5000)
ANY_NUMBER = strategies.one_of(strategies.sampled_from(NUMBERS), strategies.text(max_size=40))
ANYTHING = strategies.one_of(strategies.sampled_from(HOSTILE), strategies.text())


class HostileTest(testtools.TestCase):

    @hypothesis.given(ANY_NUMBER)
    def test_the_size_of_an_image_on_a_volume_is_in_the_volume_or_an_error_in_one_line(self, written):
        volume = images.Volume.from_cinder({'id': VOLUME, 'status': 'available', 'size': 1,
                                            'metadata': {'image_size': written}})
        try:
            self.assertTrue(0 <= images.size(volume) <= 1 << 30)
        except errors.NotUsable as error:
            self.assertTrue(str(error).isprintable())
            # 40 characters of it, of which one may take ten.
            self.assertLess(len(str(error)), 600)

    @hypothesis.given(ANYTHING)
    def test_a_location_names_a_uuid_or_nothing(self, written):
        for location in (written, 'cinder://' + written, 'cinder://store/' + written,
                         'cinder://store/%s/%s' % (written, VOLUME),
                         'cinder://store/%s%s' % (VOLUME, written)):
            try:
                found = volume_uri.volume_of(location)
            except ValueError:
                continue
            self.assertRegex(found, r'\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')
            self.assertEqual(found, os.path.basename(found))

    @hypothesis.given(ANYTHING)
    def test_the_table_of_the_check_has_no_letter_that_a_terminal_obeys(self, written):
        result = finding.Result([finding.failure('image %s' % written, written, written)])
        shown = command.MultistoreChecks._get_details(None, result)
        for line in shown.split('\n'):
            self.assertFalse([letter for letter in line
                              if ord(letter) < 32 or letter in '\x7f\x9b\u202e\u2028'])

    @hypothesis.given(ANY_NUMBER)
    def test_the_text_of_a_lock_is_that_of_a_process_or_of_none(self, written):
        for text in (written, '%s %s' % (written, lock.holder()), 'host %s' % written):
            self.assertIn(lock.is_dead(text), (True, False))
        words = lock.holder().split(' ')
        words[3] = written
        self.assertIn(lock.is_dead(' '.join(words)), (True, False))

    @hypothesis.given(ANY_NUMBER, strategies.binary(max_size=20))
    def test_a_body_is_read_whatever_length_was_announced(self, announced, data):
        body = request_body.CountedInput({'wsgi.input': io.BytesIO(data), 'CONTENT_LENGTH': announced})
        self.assertEqual(data, body.read(30))
        self.assertEqual(b'', body.read(30))
        self.assertEqual(len(data), body.sent)
