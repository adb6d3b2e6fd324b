# SPDX-License-Identifier: Apache-2.0
"""What a full disk, a kill at a bad moment, or a busy gate leave: nothing, or what is undone later."""

import os
import shutil
import threading
import time
import uuid

import fixtures

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_lock
from multistore_hooks.volume_store import host_attachment
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import new_volume
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import volume_attachment
from tests.unit.volume_store import base

DATA = os.urandom(1 << 20)
SAVED = 'saved'


class FullDiskTest(base.VolumeTestCase):
    """Nothing can be noted any more, from some moment on; files can still be removed."""

    write = staticmethod(journal.AttachmentJournal.write)

    def full_after(self, number):
        """Return context whose notes cannot be written after that many; the list counts the writes."""
        context, written, write = self.context(), [], self.write

        def fails(notes, volume_id, note):
            written.append(note)
            if len(written) > number:
                raise errors.JournalError(why='No space left on device')
            write(notes, volume_id, note)
        self.useFixture(fixtures.MockPatchObject(journal.AttachmentJournal, 'write', fails))
        return context, written

    def each_moment(self, use):
        """Let the disk be full from each moment on, until it makes no difference."""
        number = failed = 0
        while True:
            context, written = self.full_after(number)
            try:
                use(context)
            except errors.JournalError:
                failed += 1
            self.assertEqual([], self.left(), number)
            yield number
            if len(written) <= number:
                break
            number += 1
        self.assertGreater(failed, 3)

    def test_an_upload_leaves_nothing(self):
        stored = []

        def use(context):
            del stored[:]
            stored.append(self.store(DATA, context=context).volume_id)
        for number in self.each_moment(use):
            self.assertEqual(stored, list(self.cinder.volumes), number)
            self.cinder.volumes.clear()

    def test_a_download_leaves_nothing(self):
        volume = self.store(DATA).volume_id
        for _number in self.each_moment(lambda context: share.Shared(context).lease(volume).close()):
            self.assertEqual('available', self.cinder.volumes[volume].status)

    def test_the_half_of_a_record_that_did_not_fit_is_removed(self):
        context = self.context()

        def full(*_unused):
            raise OSError(28, 'No space left on device')
        with fixtures.MockPatchObject(journal.json, 'dump', full):
            self.assertRaises(errors.JournalError, context.journal.write, 'volume', {})
        self.assertEqual([], self.left())


class KilledTest(base.VolumeTestCase):
    """The notes as they were while Cinder was at it, for the process that comes after the kill."""

    def saving(self, name, *more):
        """Let a request of Cinder's save the notes before it, and what Cinder then had."""
        function, folder = getattr(self.cinder, name), os.path.join(self.folder, 'attachments')
        saved = os.path.join(self.folder, SAVED)

        def called(*args, **kwargs):
            if not os.path.exists(saved):
                shutil.copytree(folder, saved)
            return function(*args, **kwargs)
        setattr(self.cinder, name, called)
        self.addCleanup(shutil.rmtree, saved, True)

    def restore(self):
        folder = os.path.join(self.folder, 'attachments')
        shutil.rmtree(folder)
        shutil.copytree(os.path.join(self.folder, SAVED), folder)
        context = self.context()
        self.assertEqual(1, len(context.journal.volumes()))
        for volume in context.journal.volumes():
            leftovers.recover(context, volume)

    def test_an_attachment_that_was_just_being_made_is_deleted(self):
        volume = self.store(DATA).volume_id
        self.saving('attachment_create')
        self.shared().lease(volume).close()
        self.cinder.attachment_create(volume, 'ro')
        self.restore()
        self.assertEqual('available', self.cinder.volumes[volume].status)
        self.assertEqual([], self.left())

    def test_an_attachment_that_cinder_does_not_list_is_deleted_later(self):
        volume, reserve = self.store(DATA).volume_id, self.cinder.attachment_create

        def unanswered(*args):
            reserve(*args)
            raise cinder_client.Unresponsive(request='POST /attachments', why='504')
        self.cinder.attachment_create = unanswered
        self.faults.always('cinder.attachment_list')
        self.assertRaises(cinder_client.Unresponsive, self.shared().lease, volume)
        self.assertEqual('reserved', self.cinder.volumes[volume].status)
        self.faults = base.Faults()
        leftovers.recover(self.context(), volume)
        self.assertEqual('available', self.cinder.volumes[volume].status)
        self.assertEqual([], self.left())

    def test_a_volume_that_was_just_being_created_is_deleted(self):
        create, asked = self.cinder.create_volume, []

        def noting(*args):
            asked.append(args)
            return create(*args)
        self.cinder.create_volume = noting
        self.saving('create_volume')
        image = self.store(DATA).volume_id
        lost = create(*asked[0])
        self.cinder._set(lost.id, status='available')
        self.restore()
        # The image has the same description, and is one: it stays.
        self.assertEqual([image], list(self.cinder.volumes))
        self.assertEqual([], self.left())

    def test_a_volume_that_cinder_creates_long_after_nobody_waits_for_it_is_deleted(self):
        create, asked = self.cinder.create_volume, []

        def unanswered(*args):
            asked.append(args)
            raise cinder_client.Unresponsive(request='POST /volumes', why='504')
        self.cinder.create_volume = unanswered
        self.assertRaises(cinder_client.Unresponsive, self.store, DATA)
        noted, = self.context().journal.volumes()
        leftovers.recover(self.context(), noted)
        late = create(*asked[0])
        self.cinder._set(late.id, status='available')
        leftovers.recover(self.context(), noted)
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_a_volume_that_cinder_never_creates_is_not_searched_for_without_end(self):
        self.faults.at(0, base.BEFORE)
        self.assertRaises(errors.VolumeStoreError, self.store, DATA)
        noted, = self.context().journal.volumes()
        leftovers.recover(self.context(), noted)
        self.assertEqual([noted], self.context().journal.volumes())
        leftovers.recover(self.context(state=0), noted)
        self.assertEqual([], self.left())

    def test_a_volume_with_a_record_of_its_own_is_left_to_it(self):
        going = new_volume.create(self.context(), str(uuid.uuid4()), 'owner', 0, None)
        going.take()
        context, volume = self.context(), self.cinder.volumes[going.id]
        with context.journal.acquire('other', 1) as lock:
            lock.write({'creating': volume.name, 'description': volume.description})
        leftovers.recover(context, 'other')
        self.assertIn(volume.id, self.cinder.volumes)
        going.delete('the test ends')
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_a_device_that_is_somebody_elses_by_now_keeps_its_owner(self):
        volume = self.store(DATA).volume_id
        gone = host_attachment.use(self.context(), volume)
        gone.device.close()
        note = dict(gone._attachment.record, owner=0)
        with self.context().journal.acquire(volume, 1) as lock:
            lock.write(note)
        gone._users.release()
        self.useFixture(fixtures.MockPatchObject(volume_attachment.os, 'geteuid', lambda: 4242))
        leftovers.recover(self.context(), volume)
        self.assertEqual(([], []), (self.brick.owners, self.left()))

    def killed_reader(self, **connection):
        """Let a reader of an image be killed; return the volume."""
        self.cinder.connection.update(connection)
        volume = self.store(DATA).volume_id
        gone = host_attachment.use(self.context(), volume)
        gone.device.close()
        gone._users.release()
        self.faults = base.Faults()
        return volume

    def test_the_place_of_an_attachment_that_somebody_has_deleted_is_left_alone(self):
        volume = self.killed_reader()
        # By now the device in this place may be that of another volume.
        self.cinder.attachment_delete(*self.cinder.bound)
        leftovers.recover(self.context(), volume)
        self.assertNotIn('brick.disconnect', self.faults.calls)
        link, = self.brick.links
        self.assertIn('what is on the host in its place is left alone (%s)' % link, self.log)
        self.assertEqual([], self.context().journal.volumes())
        self.brick.links.clear()

    def test_in_user_space_nothing_is_left_of_it(self):
        volume = self.killed_reader(driver_volume_type='rbd')
        self.brick.handles.clear()
        self.cinder.attachment_delete(*self.cinder.bound)
        leftovers.recover(self.context(), volume)
        self.assertNotIn('ERROR', self.log)
        self.assertEqual([], self.left())

    def test_what_is_attached_stays_recorded_while_cinder_does_not_report(self):
        volume = self.killed_reader()
        self.faults.always('cinder.attachment_exists')
        leftovers.recover(self.context(), volume)
        self.assertNotIn('brick.disconnect', self.faults.calls)
        self.faults = base.Faults()
        leftovers.recover(self.context(), volume)
        self.assertEqual([], self.left())


class GateTest(base.VolumeTestCase):

    def test_who_cannot_enter_to_leave_keeps_nobody_off(self):
        volume = self.store(DATA).volume_id
        there = host_attachment.use(self.context(attach=0.2), volume)
        with self.context().journal.acquire(volume, 1):
            there.leave()
        self.assertIn('ERROR Volume %s of the store gold was not detached' % volume, self.log)
        leftovers.recover(self.context(), volume)
        self.assertEqual('available', self.cinder.volumes[volume].status)
        self.assertEqual([], self.left())

    def test_nobody_waits_for_ever_for_another_reader_whose_attachment_hangs(self):
        volume = self.store(DATA).volume_id
        hangs = self.faults = base.Faults()
        self.shared().lease(volume).close()
        first = hangs.calls.index('brick.connect')
        hangs = self.faults = base.Faults()
        self.addCleanup(hangs.release.set)
        hangs.at(first, base.HANG)
        both = self.shared()
        reader = threading.Thread(target=lambda: both.lease(volume).close())
        reader.start()
        while 'brick.connect' not in hangs.calls:
            time.sleep(0.01)
        both._context = both._context._replace(timeouts=base.TIMEOUTS._replace(attach=0.1, state=0.1))
        self.assertRaises(errors.TimedOut, both.lease, volume)
        self.assertFalse(both.drop(volume))
        self.assertTrue(reader.is_alive())
        hangs.release.set()
        reader.join(10)
        self.assertEqual([], self.left())

    def test_a_lock_ends_although_a_child_has_the_file_open(self):
        notes = self.context().journal
        lock = notes.lock_users('volume', exclusive=True)
        child = os.dup(lock._fd)
        self.addCleanup(os.close, child)
        lock.release()
        again = notes.lock_users('volume', exclusive=True)
        self.assertIsNotNone(again)
        again.release()

    def test_an_image_whose_record_stays_can_be_read(self):
        def refuse(_gate):
            raise errors.JournalError(why='Read-only file system')
        with fixtures.MockPatchObject(journal.AttachmentLock, 'remove', refuse):
            volume = self.store(DATA).volume_id
        self.assertIn('The record of volume %s in attachment_dir was not removed' % volume, self.log)
        lease = self.shared().lease(volume)
        self.assertEqual(DATA[:9], lease.device.read(0, 9))
        lease.close()
        for left in self.context().journal.volumes():  # the note of the creation
            leftovers.recover(self.context(), left)
        self.assertEqual([volume], list(self.cinder.volumes))
        self.assertEqual([], self.left())

    def test_a_gate_opens_again_when_nothing_can_be_tidied_up(self):
        notes = self.context().journal
        for name in ('read', 'lock_users', 'remove'):
            def refuse(*_unused, **_also):
                raise errors.JournalError(why='Too many open files')
            with fixtures.MockPatchObject(journal.AttachmentJournal, name, refuse):
                notes.acquire('volume', 1).__exit__()
            notes.acquire('volume', 0).__exit__()

    def test_an_error_of_the_folder_names_the_option(self):
        def refuse(*_unused, **_also):
            raise OSError(24, 'Too many open files')
        notes = self.context().journal
        for module, name, call in ((os, 'open', lambda: notes.write('v', {})),
                                   (os, 'unlink', lambda: notes.remove('v', 'json')),
                                   (os, 'listdir', notes.volumes),
                                   (file_lock.fcntl, 'flock', lambda: notes.lock_users('v', True))):
            with fixtures.MockPatchObject(module, name, refuse):
                self.assertIn('attachment_dir', str(self.assertRaises(errors.JournalError, call)))
