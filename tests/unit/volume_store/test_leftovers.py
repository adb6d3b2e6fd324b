# SPDX-License-Identifier: Apache-2.0
"""What a full disk, a kill at a bad moment, or a busy gate leave: nothing, or what is undone later."""

import os
import shutil
import threading
import time
import uuid

import fixtures

from multistore_hooks.volume_store import attachment
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import records
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import upload
from tests.unit.volume_store import base

DATA = os.urandom(1 << 20)
SAVED = 'saved'


class FullDiskTest(base.VolumeTestCase):
    """Nothing can be noted any more, from some moment on; files can still be removed."""

    write = staticmethod(records.Records.write)

    def full_after(self, number):
        """Return tools whose notes cannot be written after that many; the list counts the writes."""
        tools, written, write = self.tools(), [], self.write

        def fails(notes, volume_id, note):
            written.append(note)
            if len(written) > number:
                raise errors.CannotNote(why='No space left on device')
            write(notes, volume_id, note)
        self.useFixture(fixtures.MockPatchObject(records.Records, 'write', fails))
        return tools, written

    def each_moment(self, use):
        """Let the disk be full from each moment on, until it makes no difference."""
        number = failed = 0
        while True:
            tools, written = self.full_after(number)
            try:
                use(tools)
            except errors.CannotNote:
                failed += 1
            self.assertEqual([], self.left(), number)
            yield number
            if len(written) <= number:
                break
            number += 1
        self.assertGreater(failed, 3)

    def test_an_upload_leaves_nothing(self):
        stored = []

        def use(tools):
            del stored[:]
            stored.append(self.store(DATA, tools=tools).volume_id)
        for number in self.each_moment(use):
            self.assertEqual(stored, list(self.cinder.volumes), number)
            self.cinder.volumes.clear()

    def test_a_download_leaves_nothing(self):
        volume = self.store(DATA).volume_id
        for _number in self.each_moment(lambda tools: share.Shared(tools).lease(volume).close()):
            self.assertEqual('available', self.cinder.volumes[volume].status)

    def test_the_half_of_a_note_that_did_not_fit_is_removed(self):
        tools = self.tools()

        def full(*_unused):
            raise OSError(28, 'No space left on device')
        with fixtures.MockPatchObject(records.json, 'dump', full):
            self.assertRaises(errors.CannotNote, tools.records.write, 'volume', {})
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
        tools = self.tools()
        self.assertEqual(1, len(tools.records.volumes()))
        for volume in tools.records.volumes():
            leftovers.recover(tools, volume)

    def test_an_attachment_that_was_just_being_made_is_deleted(self):
        volume = self.store(DATA).volume_id
        self.saving('reserve')
        self.shared().lease(volume).close()
        self.cinder.reserve(volume, 'ro')
        self.restore()
        self.assertEqual('available', self.cinder.volumes[volume].status)
        self.assertEqual([], self.left())

    def test_an_attachment_that_cinder_does_not_tell_of_is_deleted_later(self):
        volume, reserve = self.store(DATA).volume_id, self.cinder.reserve

        def unanswered(*args):
            reserve(*args)
            raise cinder_client.Unanswered(request='POST /attachments', why='504')
        self.cinder.reserve = unanswered
        self.faults.always('cinder.attachments')
        self.assertRaises(cinder_client.Unanswered, self.shared().lease, volume)
        self.assertEqual('reserved', self.cinder.volumes[volume].status)
        self.faults = base.Faults()
        leftovers.recover(self.tools(), volume)
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
            raise cinder_client.Unanswered(request='POST /volumes', why='504')
        self.cinder.create_volume = unanswered
        self.assertRaises(cinder_client.Unanswered, self.store, DATA)
        noted, = self.tools().records.volumes()
        leftovers.recover(self.tools(), noted)
        late = create(*asked[0])
        self.cinder._set(late.id, status='available')
        leftovers.recover(self.tools(), noted)
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_a_volume_that_cinder_never_creates_is_not_looked_for_for_ever(self):
        self.faults.at(0, base.BEFORE)
        self.assertRaises(errors.VolumeStoreError, self.store, DATA)
        noted, = self.tools().records.volumes()
        leftovers.recover(self.tools(), noted)
        self.assertEqual([noted], self.tools().records.volumes())
        leftovers.recover(self.tools(state=0), noted)
        self.assertEqual([], self.left())

    def test_a_volume_with_a_note_of_its_own_is_left_to_it(self):
        going = upload.Upload(self.tools(), upload.Wishes(),
                              upload.Source(str(uuid.uuid4()), 'owner', None, 0, 'sha512'))
        going._create()
        tools, volume = self.tools(), going._volume
        with tools.records.enter('other', 1) as gate:
            gate.write({'creating': volume.name, 'description': volume.description})
        leftovers.recover(tools, 'other')
        self.assertIn(volume.id, self.cinder.volumes)
        going._undo()
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_a_device_that_is_somebody_elses_by_now_keeps_its_owner(self):
        volume = self.store(DATA).volume_id
        gone = share.OnHost(self.tools(), volume)
        gone.device.close()
        note = dict(gone._attachment.note, owner=0)
        with self.tools().records.enter(volume, 1) as gate:
            gate.write(note)
        records.release(gone._lock)
        self.useFixture(fixtures.MockPatchObject(attachment.os, 'geteuid', lambda: 4242))
        leftovers.recover(self.tools(), volume)
        self.assertEqual(([], []), (self.brick.owners, self.left()))

    def killed_reader(self, **connection):
        """Let a reader of an image be killed; return the volume."""
        self.cinder.connection.update(connection)
        volume = self.store(DATA).volume_id
        gone = share.OnHost(self.tools(), volume)
        gone.device.close()
        records.release(gone._lock)
        self.faults = base.Faults()
        return volume

    def test_the_place_of_an_attachment_that_somebody_has_deleted_is_left_alone(self):
        volume = self.killed_reader()
        # By now the device in this place may be that of another volume.
        self.cinder.delete_attachment(*self.cinder.bound)
        leftovers.recover(self.tools(), volume)
        self.assertNotIn('brick.disconnect', self.faults.calls)
        link, = self.brick.links
        self.assertIn('what is on the host in its place is left alone (%s)' % link, self.log)
        self.assertEqual([], self.tools().records.volumes())
        self.brick.links.clear()

    def test_in_user_space_nothing_is_left_of_it(self):
        volume = self.killed_reader(driver_volume_type='rbd')
        self.brick.handles.clear()
        self.cinder.delete_attachment(*self.cinder.bound)
        leftovers.recover(self.tools(), volume)
        self.assertNotIn('ERROR', self.log)
        self.assertEqual([], self.left())

    def test_what_is_attached_stays_noted_while_cinder_does_not_tell(self):
        volume = self.killed_reader()
        self.faults.always('cinder.has_attachment')
        leftovers.recover(self.tools(), volume)
        self.assertNotIn('brick.disconnect', self.faults.calls)
        self.faults = base.Faults()
        leftovers.recover(self.tools(), volume)
        self.assertEqual([], self.left())


class GateTest(base.VolumeTestCase):

    def test_who_cannot_enter_to_leave_keeps_nobody_off(self):
        volume = self.store(DATA).volume_id
        there = share.OnHost(self.tools(attach=0.2), volume)
        with self.tools().records.enter(volume, 1):
            there.leave()
        self.assertIn('ERROR Volume %s of the store gold was not detached' % volume, self.log)
        leftovers.recover(self.tools(), volume)
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
        both._tools = both._tools._replace(timeouts=base.TIMEOUTS._replace(attach=0.1, state=0.1))
        self.assertRaises(errors.TimedOut, both.lease, volume)
        self.assertFalse(both.drop(volume))
        self.assertTrue(reader.is_alive())
        hangs.release.set()
        reader.join(10)
        self.assertEqual([], self.left())

    def test_a_lock_ends_although_a_child_has_the_file_open(self):
        notes = self.tools().records
        lock = notes.use('volume', alone=True)
        child = os.dup(lock)
        self.addCleanup(os.close, child)
        records.release(lock)
        again = notes.use('volume', alone=True)
        self.assertIsNotNone(again)
        records.release(again)

    def test_an_image_whose_note_stays_can_be_read(self):
        def refuse(_gate):
            raise errors.CannotNote(why='Read-only file system')
        with fixtures.MockPatchObject(records.Gate, 'forget', refuse):
            volume = self.store(DATA).volume_id
        self.assertIn('The note of volume %s in attachment_dir was not removed' % volume, self.log)
        lease = self.shared().lease(volume)
        self.assertEqual(DATA[:9], lease.device.read(0, 9))
        lease.close()
        for left in self.tools().records.volumes():  # the note of the creation
            leftovers.recover(self.tools(), left)
        self.assertEqual([volume], list(self.cinder.volumes))
        self.assertEqual([], self.left())

    def test_a_gate_opens_again_when_nothing_can_be_tidied_up(self):
        notes = self.tools().records
        for name in ('read', 'use', 'remove'):
            def refuse(*_unused, **_also):
                raise errors.CannotNote(why='Too many open files')
            with fixtures.MockPatchObject(records.Records, name, refuse):
                notes.enter('volume', 1).__exit__()
            notes.enter('volume', 0).__exit__()

    def test_an_error_of_the_folder_names_the_option(self):
        def refuse(*_unused, **_also):
            raise OSError(24, 'Too many open files')
        notes = self.tools().records
        for module, name, call in ((os, 'open', lambda: notes.write('v', {})),
                                   (os, 'unlink', lambda: notes.remove('v', 'json')),
                                   (os, 'listdir', notes.volumes),
                                   (records.fcntl, 'flock', lambda: notes.use('v', True))):
            with fixtures.MockPatchObject(module, name, refuse):
                self.assertIn('attachment_dir', str(self.assertRaises(errors.CannotNote, call)))
