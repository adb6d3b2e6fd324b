# SPDX-License-Identifier: Apache-2.0
"""An error names what really refused an upload."""

import unittest

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import blame

#: Status, what Glance, its libraries or a proxy say, cause, and whether another store may take the image.
ROWS = (
    (400, 'HTTP 400 Bad Request: Store for identifier nope not found', blame.NO_STORE, True),
    (400, 'HTTP 400 Bad Request: Unknown scheme nope found in URI', blame.NO_STORE, True),
    (400, 'Signature verification failed for image x: wrong', blame.SIGNATURE, False),
    (400, 'HTTP 400 Bad Request: Client disconnected before sending all data to backend', blame.CLIENT_GONE,
     False),
    (400, 'HTTP 400 Bad Request: bad', blame.REFUSED, True),
    (401, 'Authentication error - the token may have expired during file upload.', blame.TOKEN, False),
    (403, 'You are not authorized to complete upload_image action.', blame.FORBIDDEN, False),
    (404, 'No image found with ID x', blame.NO_IMAGE, False),
    (409, 'Image status transition from active to saving is not allowed', blame.OTHER_STATE, False),
    (410, 'Error in store configuration. Adding images to store is disabled.', blame.STORE_DISABLED, True),
    (410, 'Image x could not be found after upload. The image may have been deleted during the upload, '
          'cleaning up the chunks uploaded.', blame.DELETED, False),
    (413, 'Image storage media is full: There is not enough disk space', blame.STORE_FULL, True),
    (413, 'Image exceeds the storage quota: The size of the data 7000 will exceed the limit.', blame.QUOTA,
     False),
    (413, 'Project 1 is over limit for [Resource image_size_total is over limit of 1]', blame.QUOTA, False),
    (413, 'The incoming image is too large: Image size limit', blame.IMAGE_TOO_LARGE, False),
    (413, '<html><head><title>413 Request Entity Too Large</title></head></html>', blame.NO_ROOM, True),
    (415, 'Image content does not match disk_format', blame.FORMAT, False),
    (500, 'The server has either erred or is incapable of performing the requested operation.',
     blame.GLANCE_FAILED, False),
    (502, 'Bad Gateway', blame.BAD_GATEWAY, False),
    (503, 'Insufficient permissions on image storage media: Permission denied', blame.STORE_FAILED, True),
    (503, 'Filesystem store operation timed out', blame.STORE_FAILED, True),
    (503, '503 Service Unavailable No server is available to handle this request.', blame.UNAVAILABLE, False),
    (504, 'Gateway Timeout', blame.TIMED_OUT, False),
    (None, 'Connection reset by peer', blame.NO_RESPONSE, False),
    (418, 'teapot', blame.UNKNOWN, False),
)


class CauseTest(unittest.TestCase):

    def test_each_status_and_its_words_have_their_cause(self):
        for status, words, cause, is_store in ROWS:
            self.assertEqual((cause, is_store), (blame.cause_of(status, words), cause.is_store), words)

    def test_every_cause_has_a_row(self):
        causes = {value for value in vars(blame).values() if isinstance(value, blame.Cause)}
        self.assertEqual(causes, {row[2] for row in ROWS})

    def test_what_a_service_raises_without_a_status_is_no_response(self):
        self.assertIs(blame.NO_RESPONSE, blame.cause_of_error(OSError('reset')))
        self.assertIs(blame.STORE_DISABLED, blame.cause_of_error(api.error_for(410, 'disabled')))
        self.assertIs(blame.UNKNOWN, blame.cause_of_error(api.GlanceError('no status')))

    def test_a_text_names_the_store_where_it_is_the_cause_and_not_elsewhere(self):
        for _status, _words, cause, is_store in ROWS:
            text = blame.explain(cause, 'cheap')
            self.assertEqual(is_store, 'the store cheap' in text, text)
            self.assertNotIn('%', text)
            self.assertNotIn('None', blame.explain(cause, None))
