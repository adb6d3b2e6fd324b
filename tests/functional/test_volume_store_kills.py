# SPDX-License-Identifier: Apache-2.0
"""Glance is killed at each step of an operation, and started again: nothing is left, all images are whole.

A step is a request to Cinder, a call of os-brick, or a call of a device: Glance is killed before Cinder, the
host or the device has done it, and just afterwards. With VOLUME_STORE_FAULTS=all; otherwise the unit tests
of what a killed process leaves are what there is.
"""

import os
import signal
import threading

from lab.volume_store import case
from tests.functional import test_volume_store_faults

#: Longer than it takes to see that a call hangs, and to kill Glance.
HANG = 3600


class Kills:
    """The three operations; of a :class:`test_volume_store_faults.Matrix`."""

    #: Whether Glance is killed before a step, and after it.
    moments = ('before', 'after')

    def http_faults(self):
        return [{'action': 'hang', 'at': moment, 'seconds': HANG} for moment in self.moments]

    def call_faults(self):
        return [{'action': 'hang', 'when': moment, 'seconds': HANG} for moment in self.moments]

    def kill_at(self, one, operation):
        """Kill Glance at a step of an operation, start it again, and let it use the store."""
        self.inject(one)
        thread = threading.Thread(target=operation, daemon=True)
        thread.start()
        if one.kind == 'http':
            self.wait_for(lambda: any(note.fault for note in list(self.lab.proxy.requests)))
        else:
            self.wait_for(self.plan.hangs)
        os.killpg(self.glance.pid, signal.SIGKILL)
        self.glance.kill()
        self.heal()
        thread.join()
        self.glance.start()
        self.logged = len(self.glance.log_text())
        self.use_again()

    def use_again(self):
        """Use the store, so that it cleans up."""
        self.forget(self.upload(self.store, b'data'))

    def left_after(self, one):
        """Note what is left for good, but for a complete volume whose image Glance had not saved yet."""
        self.tally.cases += 1
        left = self.settled(enough=lambda found: all(self.complete(line) for line in found))
        self.tally.kept += bool(left)
        wrong = [line for line in left if not self.complete(line)]
        if wrong:
            self.tally.leaks.append('%s: %s' % (one.name, wrong))
        if left:
            self.tidy()

    def complete(self, line):
        """Return whether a line names a volume with the whole image on it."""
        if not line.startswith('volume '):
            return False
        volume = line.split()[1]
        found = self.cinder.volumes().get(volume)
        return bool(found) and found['status'] == 'available' and found['metadata'].get(
            'image_size') == str(len(self.data)) and self.lab.bytes_of(volume, len(self.data)) == self.data

    def test_uploads(self):
        def well():
            image, accepted = self.try_upload()
            self.assertTrue(accepted, self.said()[-4000:])
            self.forget(image)

        cases = [one for one in self.steps(well) if one.arguments.get('method') != 'DELETE'
                 or '/volumes/' not in one.arguments['path']]
        for one in self.of_this_part(cases):
            self.kill_at(one, self.try_upload)
            self.left_after(one)
            for image in self.images():
                self.forget(image)
        self.assertClean('uploads')
        # Only a killing after the very last step can leave a complete volume.
        self.assertLess(self.tally.kept, 8)

    def test_downloads(self):
        image, accepted = self.try_upload()
        self.assertTrue(accepted)
        for one in self.of_this_part(self.steps(lambda: self.assertTrue(self.try_download(image)))):
            self.kill_at(one, lambda: self.try_download(image))
            if not self.try_download(image):
                self.tally.wrong.append('%s: it cannot be read any more' % one.name)
            self.left_after(one)
        self.forget(image)
        self.assertClean('downloads')
        self.assertEqual(0, self.tally.kept)

    def test_deletions(self):
        def well():
            image, accepted = self.try_upload()
            self.assertTrue(accepted)
            self.lab.proxy.clear()
            self.plan.clear()
            self.forget(image)

        for one in self.of_this_part(self.steps(well)):
            image, accepted = self.try_upload()
            self.assertTrue(accepted)
            self.kill_at(one, lambda image=image: self.try_delete(image))
            # Who deletes it again succeeds, whatever was done.
            self.forget(image)
            self.left_after(one)
        self.assertClean('deletions')
        self.assertEqual(0, self.tally.kept)

    def try_delete(self, image):
        """Delete an image; there may be no response."""
        try:
            self.glance.request('DELETE', '/v2/images/' + image)
        except (OSError, test_volume_store_faults.http.client.HTTPException):
            pass

    def assertClean(self, what):
        """Report the counts; nothing is left, and nothing is lost."""
        self.report('%s, killed at each step' % what)
        self.assertEqual(([], []), (self.tally.leaks, self.tally.wrong))
        self.assertLess(0, self.tally.cases)


class LoopTest(Kills, test_volume_store_faults.Matrix):
    """On a block device, which takes minutes."""

    store = 'killed'

    def setUp(self):
        if not case.ALL_FAULTS:
            self.skipTest('takes minutes: VOLUME_STORE_FAULTS=all for it')
        super().setUp()
