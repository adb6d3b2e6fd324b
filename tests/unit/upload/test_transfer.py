# SPDX-License-Identifier: Apache-2.0
"""An upload follows its placement, starts again from its beginning, and is checked."""

import io

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import counted_body
from multistore_hooks.upload import fallback
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer
from tests import fake_glance
from tests.unit import base

UploadRequest, StoreRef = placements.UploadRequest, placements.StoreRef


class Pipe(io.BytesIO):
    """A file object that cannot go back."""

    def seekable(self):
        return False

    def tell(self):
        raise OSError('Illegal seek')


class OneWay(io.BytesIO):
    """A file object that knows where it is and cannot go back."""

    def seek(self, *unused):
        raise OSError('no way back')


class UploadTestCase(base.FakeGlanceTestCase):

    def upload(self, request, data=b'snapshot', attempts=1, **kwargs):
        image_id = self.queued()
        images = self.images(attempts=attempts)
        transfer.upload(images, image_id, data, transfer.decide_placement(images, request),
                        clock=self.clock, **kwargs)
        return image_id

    def send(self, images, image_id, data, placement):
        transfer.upload(images, image_id, data, placement, clock=self.clock)

    def sent_headers(self):
        headers = self.glance.requests('PUT', '/file')[-1][2]
        return (headers.get('x-image-meta-store'), headers.get('x-openstack-base-image-ref'),
                headers.get('x-openstack-multistore-hooks'))


class UploadTest(UploadTestCase):
    """The upload itself."""

    def test_follows_the_base_image_and_sends_both_headers(self):
        base_image = self.base('cheap')
        image_id = self.upload(UploadRequest(base_image=base_image))
        self.assertEqual(['cheap'], self.glance.where(image_id))
        self.assertEqual(('cheap', base_image, None), self.sent_headers())
        self.assertIn('INFO Uploading image %s to the store cheap: its base image' % image_id, self.log)
        self.assertIn('with 8 bytes in cheap', self.log)

    def test_snapshot_is_named_to_the_filter_as_one(self):
        base_image = self.base('cheap')
        self.upload(UploadRequest(base_image=base_image), snapshot=True)
        self.assertEqual(('cheap', base_image, 'snapshot'), self.sent_headers())

    def test_named_store_wins_and_both_headers_are_sent(self):
        base_image = self.base('cheap')
        image_id = self.upload(UploadRequest(StoreRef('reliable', 'x'), base_image))
        self.assertEqual(['reliable'], self.glance.where(image_id))
        self.assertEqual(('reliable', base_image, None), self.sent_headers())
        self.assertEqual([], self.glance.requests('GET', base_image))

    def test_without_a_store_or_a_base_image_nothing_is_looked_up(self):
        image_id = self.upload(UploadRequest())
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertEqual((None, None, None), self.sent_headers())
        self.assertEqual(['PUT', 'GET'], [entry[0] for entry in self.glance.log])

    def test_named_store_that_does_not_exist_is_an_error_before_any_byte(self):
        self.assertRaises(exceptions.StoreNotUsable, self.upload, UploadRequest(StoreRef('nope', 'x')))
        self.assertEqual([], self.glance.requests('PUT', '/file'))

    def test_left_to_the_filter_when_it_announces_itself(self):
        self.glance.headers['X-OpenStack-Multistore-Hooks'] = 'base-image-ref'
        base_image = self.base('cheap')
        self.upload(UploadRequest(base_image=base_image))
        self.assertEqual((None, base_image, None), self.sent_headers())
        self.assertEqual([], self.glance.requests('GET', base_image))

    def test_deleted_base_image_is_a_warning_and_the_default_store(self):
        image_id = self.upload(UploadRequest(base_image='11111111-2222-3333-4444-555555555555'))
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn("WARNING Uploading image %s to Glance's default store" % image_id, self.log)

    def test_base_image_of_another_project_is_as_good_as_deleted(self):
        image_id = self.upload(UploadRequest(base_image=self.glance.add_image(['cheap'], owner='p2')))
        self.assertEqual(['fast'], self.glance.where(image_id))

    def test_glance_that_is_not_reached_is_a_warning_and_the_default_store(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/stores', 500))
        image_id = self.upload(UploadRequest(base_image=self.base('cheap')))
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn('WARNING', self.log)

    def test_retry_sends_everything_again_from_where_the_data_began(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 503, after=100000))
        data = io.BytesIO(b'skipped' + b'x' * 300000)
        data.seek(7)
        image_id = self.upload(UploadRequest(), data, attempts=2)
        self.assertEqual(b'x' * 300000, self.glance.data['fast', image_id])

    def test_retry_of_data_that_cannot_go_back_fails(self):
        for data, why in ((Pipe(b'x' * 300000), 'Illegal seek'), (OneWay(b'x' * 300000), 'no way back')):
            self.glance.faults.append(fake_glance.Fault('PUT', '/file', 503, after=100000))
            error = self.assertRaises(exceptions.CannotSendAgain, self.upload,
                                      UploadRequest(), data, attempts=2)
            self.assertIn(why, str(error))
            self.assertEqual({}, self.glance.data)

    def test_data_that_cannot_go_back_can_be_sent_once(self):
        image_id = self.upload(UploadRequest(), Pipe(b'once'))
        self.assertEqual(b'once', self.glance.data['fast', image_id])

    def test_retry_before_anything_was_read_needs_no_way_back(self):
        body = counted_body.CountedBody(Pipe(b'once'))
        body.rewind()
        body.rewind()
        self.assertEqual(b'once', body.read())

    def test_text_is_sent_as_bytes(self):
        image_id = self.upload(UploadRequest(), '')
        self.assertEqual(b'', self.glance.data['fast', image_id])

    def test_image_that_is_shorter_than_what_was_sent_is_deleted_and_an_error(self):
        image_id = self.queued()
        error = self.assertRaises(exceptions.NotAsSent, self.send, Truncating(self.images()),
                                  image_id, b'snapshot', placements.decide(UploadRequest()))
        self.assertIn('8 bytes were sent, and Glance has 4 bytes', str(error))
        self.assertIn('It was deleted.', str(error))
        self.assertNotIn(image_id, self.glance.images)

    def test_image_that_an_earlier_attempt_brought_is_whole_though_the_last_was_refused_early(self):
        image_id = self.queued()
        self.send(ResponseLost(self.images()), image_id, io.BytesIO(b'snapshot'),
                  placements.decide(UploadRequest()))
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])

    def test_image_that_an_earlier_attempt_brought_in_part_is_an_error(self):
        image_id = self.queued()
        self.assertRaises(exceptions.NotAsSent, self.send, PartLost(self.images()), image_id,
                          io.BytesIO(b'snapshot'), placements.decide(UploadRequest()))
        self.assertNotIn(image_id, self.glance.images)

    def test_image_that_is_not_active_is_an_error(self):
        image_id = self.queued()
        self.assertRaises(exceptions.NotAsSent, self.send, Losing(self.images()), image_id, b'',
                          placements.decide(UploadRequest()))
        self.assertEqual('queued', self.glance.images[image_id]['status'])

    def test_image_that_becomes_active_late_is_as_good_as_any(self):
        image_id = self.queued()
        self.send(Lagging(self.images()), image_id, b'snapshot', placements.decide(UploadRequest()))
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])

    def test_damaged_image_that_cannot_be_deleted_is_named(self):
        self.glance.faults.append(fake_glance.Fault('DELETE', '/v2/images', 409))
        image_id = self.queued()
        error = self.assertRaises(exceptions.NotAsSent, self.send, Truncating(self.images()),
                                  image_id, b'snapshot', placements.decide(UploadRequest()))
        self.assertIn('delete it by hand', str(error))
        self.assertIn(image_id, self.log)

    def test_upload_that_cannot_be_checked_is_a_warning_and_no_loss(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 500))
        image_id = self.upload(UploadRequest())
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn('WARNING Image %s was uploaded, but' % image_id, self.log)

    def test_image_that_glance_put_elsewhere_is_a_warning(self):
        image_id = self.queued()
        self.send(Misplacing(self.images()), image_id, b'snapshot',
                  placements.Placement('cheap', None, 'x'))
        self.assertIn('was meant for the store cheap, but Glance put it into fast', self.log)


class LostResponseTest(UploadTestCase):
    """Glance's response is lost, or a gateway's comes in its place."""

    def test_upload_that_arrived_is_no_failure(self):
        for error in (api.error_for(500, ''), api.error_for(503, ''), OSError('reset')):
            image_id = self.queued()
            self.send(Deaf(self.images(), error), image_id, b'snapshot', placements.decide(UploadRequest()))
            self.assertIn('WARNING The upload of image %s failed' % image_id, self.log)
            self.assertIn('with 8 bytes', self.log)

    def test_conflict_after_an_attempt_that_arrived_is_no_failure(self):
        image_id = self.queued()
        images = Deaf(self.images(), api.error_for(409, 'it is active'), attempts=2)
        self.send(images, image_id, b'snapshot', placements.decide(UploadRequest()))
        self.assertIn('WARNING The upload of image %s failed' % image_id, self.log)

    def test_conflict_at_the_first_attempt_is_about_data_of_somebody_else(self):
        image_id = self.queued()
        self.images().upload(image_id, counted_body.CountedBody(b'8 bytes.'))
        self.assertRaises(api.Conflict, self.send, Draining(self.images()), image_id, b'snapshot',
                          placements.decide(UploadRequest()))
        self.assertEqual(b'8 bytes.', self.glance.data['fast', image_id])

    def test_refusal_is_not_taken_for_a_lost_response(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 403))
        self.assertRaises(api.Forbidden, self.upload, UploadRequest(), b'x')
        self.assertEqual([], self.glance.requests('GET', '/v2/images/'))

    def test_upload_that_glance_is_still_at_is_waited_for(self):
        image_id = self.queued()
        self.send(Lagging(Deaf(self.images(), api.error_for(504, ''))), image_id, b'snapshot',
                  placements.decide(UploadRequest()))
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])

    def test_upload_that_did_not_arrive_whole_is_a_failure(self):
        for images in (Truncating(self.images()), Losing(self.images())):
            self.assertRaises(OSError, self.send, Deaf(images, OSError('reset')), self.queued(),
                              b'snapshot', placements.decide(UploadRequest()))

    def test_upload_that_was_not_sent_to_its_end_is_a_failure(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 403, after=1))
        self.assertRaises(api.Forbidden, self.upload, UploadRequest(), b'x' * 300000)
        self.assertEqual([], self.glance.requests('GET', '/v2/images/'))


class RefusalTest(UploadTestCase):
    """The base image's store is listed, and refuses."""

    stores = {'fast': fake_glance.FILE, 'off': fake_glance.DISABLED, 'full': fake_glance.FULL}

    def test_inferred_store_that_refuses_is_replaced_by_the_default_once(self):
        for store in ('off', 'full'):
            base_image = self.base(store)
            image_id = self.upload(UploadRequest(base_image=base_image))
            self.assertEqual(b'snapshot', self.glance.data['fast', image_id])
            self.assertIn('WARNING Image %s was not accepted: the store %s ' % (image_id, store), self.log)
            self.assertEqual(('fast', None, None), self.sent_headers())

    def test_warnings_end_where_their_text_ends(self):
        # oslo.log appends the exception that is being handled to a line.
        lines = self.logged_in_except_blocks()
        self.upload(UploadRequest(base_image=self.base('off')))
        self.assertRaises(api.TooLarge, self.upload, UploadRequest(base_image=self.base('full')),
                          Pipe(b'x' * 300000))
        self.send(Deaf(self.images(), OSError('reset')), self.queued(), b'snapshot',
                  placements.decide(UploadRequest()))
        self.assertEqual(3, self.log.count('WARNING'))
        self.assertEqual([], lines)

    def test_store_that_vanished_meanwhile_is_replaced_by_the_default(self):
        image_id = self.queued()
        self.send(self.images(), image_id, b'snapshot',
                  placements.Placement('gone', None, 'x', fallback_store='fast'))
        self.assertEqual(['fast'], self.glance.where(image_id))

    def test_store_that_glance_may_not_write_to_is_replaced_by_the_default_at_once(self):
        self.glance.stores['off'] = fake_glance.FAILING
        image_id = self.upload(UploadRequest(base_image=self.base('off')), attempts=4)
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertEqual(2, len(self.glance.requests('PUT', '/file')))

    def test_glance_that_is_away_gets_the_retries_of_the_service_and_no_more(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 503, times=99))
        request = UploadRequest(base_image=self.base('off'))
        self.assertRaises(api.GlanceError, self.upload, request, attempts=4)
        self.assertEqual(4, len(self.glance.requests('PUT', '/file')))

    def test_named_store_that_fails_gets_the_retries_of_the_service(self):
        self.glance.stores['off'] = fake_glance.FAILING
        self.assertRaises(api.GlanceError, self.upload, UploadRequest(StoreRef('off', 'x')), attempts=4)
        self.assertEqual(4, len(self.glance.requests('PUT', '/file')))

    def test_glance_that_fails_gets_everything_once(self):
        # As behind uWSGI, with a chunked body, if http-chunked-input is not set.
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 500, times=99))
        error = self.assertRaises(api.GlanceError, self.upload, UploadRequest(base_image=self.base('off')))
        self.assertEqual((500, 1), (error.status, len(self.glance.requests('PUT', '/file'))))

    def test_quota_is_met_in_every_store_and_so_everything_is_sent_once(self):
        self.glance.stores['other'] = fake_glance.FILE
        self.glance.quota = 5
        base_image = self.glance.add_image(['other'], owner='p1', data=b'')
        error = self.assertRaises(api.TooLarge, self.upload, UploadRequest(base_image=base_image))
        self.assertIn('quota', str(error))
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))
        self.assertNotIn('WARNING', self.log)

    def test_image_that_is_deleted_during_its_upload_is_not_sent_again(self):
        class Deleting(Passing):
            def upload(_self, image_id, body, *where):
                self.glance.images.pop(image_id)
                raise api.error_for(410, 'Error in store configuration. Adding images to store is disabled.')
        self.assertRaises(api.Gone, self.send, Deleting(self.images()), self.queued(), b'snapshot',
                          placements.Placement('off', None, 'x', fallback_store='fast'))
        self.assertIn('cannot be sent to the default store fast instead: the image was deleted.', self.log)

    def test_data_that_cannot_go_back_is_not_sent_again_and_the_error_is_the_stores(self):
        request = UploadRequest(base_image=self.base('full'))
        self.assertRaises(api.TooLarge, self.upload, request, Pipe(b'x' * 300000))
        self.assertIn('instead: its data cannot be read a second time (Illegal seek).', self.log)

    def test_record_that_glance_did_not_put_back_is_not_tried_again(self):
        class Stuck(Passing):
            def image(_self, image_id):
                return self.images().image(image_id)._replace(status='saving')
        self.assertRaises(api.TooLarge, self.send, Stuck(self.images()), self.queued(), b'snapshot',
                          placements.Placement('full', None, 'x', fallback_store='fast'))
        self.assertIn('instead: its status is saving.', self.log)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))
        self.assertEqual(fallback.SETTLE_SECONDS, round(self.clock.now))

    def test_record_that_cannot_be_read_is_no_obstacle(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 500))
        image_id = self.queued()
        self.send(self.images(), image_id, b'snapshot',
                  placements.Placement('off', None, 'x', fallback_store='fast'))
        self.assertEqual(['fast'], self.glance.where(image_id))

    def test_default_store_that_refuses_too_is_an_error(self):
        self.glance.stores['fast'] = fake_glance.FULL
        self.assertRaises(api.TooLarge, self.upload, UploadRequest(base_image=self.base('off')))
        self.assertEqual(2, len(self.glance.requests('PUT', '/file')))

    def test_refusal_after_which_glance_takes_nothing_more_is_the_one_that_is_reported(self):
        self.glance.faults += [fake_glance.Fault('PUT', '/file', 413), fake_glance.Fault('PUT', '/file', 409)]
        self.assertRaises(api.TooLarge, self.upload, UploadRequest(base_image=self.base('full')))

    def test_named_store_that_refuses_is_an_error(self):
        self.assertRaises(api.Gone, self.upload, UploadRequest(StoreRef('off', 'x')))
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))

    def test_other_errors_are_not_tried_in_another_store(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 403))
        self.assertRaises(api.Forbidden, self.upload, UploadRequest(base_image=self.base('off')))
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))


class Passing:
    """An ImageApi that passes everything on."""

    def __init__(self, images):
        self._images = images

    def __getattr__(self, name):
        return getattr(self._images, name)


class Deaf(Passing):
    """Sends, and gets another response, at the last of several attempts."""

    def __init__(self, images, error, attempts=1):
        super().__init__(images)
        self._error, self._attempts = error, attempts

    def upload(self, image_id, body, *where):
        self._images.upload(image_id, body, *where)
        for _attempt in range(1, self._attempts):
            body.rewind()
            body.read()
        raise self._error


class Draining(Passing):
    """Reads all of the body, whatever comes of it."""

    def upload(self, image_id, body, *where):
        body.rewind()
        body.read()
        body.attempts -= 1
        self._images.upload(image_id, body, *where)


class Truncating(Passing):
    """Loses what comes after four bytes."""

    def upload(self, image_id, body, *unused):
        self._images.upload(image_id, counted_body.CountedBody(body.read()[:4]))


class ResponseLost(Passing):
    """Has the image; its response is lost, and the second attempt refused before it is read to its end."""

    def upload(self, image_id, body, *unused):
        self._images.upload(image_id, body)
        body.rewind()
        body.read(3)


class PartLost(Passing):
    """Takes what came until the connection broke for the image, and refuses the second attempt early."""

    def upload(self, image_id, body, *unused):
        self._images.upload(image_id, counted_body.CountedBody(body.read(5)))
        body.rewind()
        body.read(3)


class Losing(Passing):
    """Loses everything."""

    def upload(self, image_id, body, *unused):
        body.read()


class Lagging(Passing):
    """Shows an image as it was before, once."""

    looks = 0

    def image(self, image_id):
        self.looks += 1
        image = self._images.image(image_id)
        return image._replace(status='saving', size=None) if self.looks == 1 else image


class Misplacing(Passing):
    """Uses the default store, whatever was asked for."""

    def upload(self, image_id, body, *unused):
        self._images.upload(image_id, body)
