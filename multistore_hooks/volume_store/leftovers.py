# SPDX-License-Identifier: Apache-2.0
"""What a process that is gone, an upload that failed, or a call that hung has left: undone, or told."""

import time
from typing import Any

from oslo_log import log as logging

from multistore_hooks.volume_store import attachment as attachments
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import records

LOG = logging.getLogger(__name__)


def remove(tools: attachments.Tools, volume_id: str, why: str) -> None:
    """Delete the volume of an upload that failed, with whatever attachments it has.

    :raises errors.Left: it is still there, and was logged.
    """
    cinder, deadline = tools.cinder, time.monotonic() + tools.timeouts.state
    error: Any = 'it is still there'
    pause = attachments.POLL_FIRST
    while True:
        try:
            status = cinder.volume(volume_id).status
            if status == 'error_deleting':
                error = "it is 'error_deleting'"
                break
            if status != 'deleting':
                for attachment in cinder.attachments(volume_id):
                    cinder.delete_attachment(attachment)
                cinder.delete_volume(volume_id)
        except cinder_client.NotFound:
            LOG.info('Volume %(volume)s was deleted again: %(why)s.', {'volume': volume_id, 'why': why})
            return
        except (cinder_client.Refused, cinder_client.Unanswered) as refused:
            error = refused
        except Exception as failed:  # another try would not help; it is told below
            error = failed
            break
        if time.monotonic() >= deadline:
            break
        time.sleep(pause)
        pause = min(pause * 1.5, attachments.POLL_MOST)
    LOG.error('Volume %(volume)s of the store %(store)s is left, and is no image (%(why)s): Cinder does not '
              'delete it: %(error)s',
              {'volume': volume_id, 'store': tools.store, 'why': why, 'error': error})
    raise errors.Left(volume=volume_id, why=str(error))


def recover(tools: attachments.Tools, volume_id: str) -> None:
    """Undo what a process that is gone, or a call that hung, has left of a volume on this host.

    What a living process uses is left alone, and so is a volume that was made an image.
    """
    try:
        with tools.records.enter(volume_id, tools.timeouts.attach) as gate:
            alone = gate.use(alone=True)
            if alone is None:
                return
            try:
                note = gate.read()
                if note is not None:
                    undo_noted(tools, volume_id, note, gate)
            finally:
                records.release(alone)
    except errors.VolumeStoreError as error:
        LOG.warning('What is left of volume %(volume)s on this host was not cleaned up: %(error)s',
                    {'volume': volume_id, 'error': error})


def undo_noted(tools: attachments.Tools, volume_id: str, note: records.Note, gate: records.Gate) -> None:
    """Undo what is noted of a volume that no process uses; only inside the gate, and alone.

    :raises errors.Left: something is left, was logged, and stays noted.
    """
    if note.get('creating'):
        if _undo_creation(tools, note):
            gate.forget()
        return
    LOG.warning('Volume %s is noted as attached to this host, and nobody uses it: cleaning up.', volume_id)
    if not note:
        LOG.error('What was noted of volume %s in attachment_dir cannot be read. See whether it is attached '
                  'to this host.', volume_id)
    _leave_lost_place(tools, volume_id, note)
    attachments.Attachment(tools, volume_id, note, gate.write).undo()
    image = note.get('upload')
    if image:
        try:
            volume = tools.cinder.volume(volume_id)
        except cinder_client.NotFound:
            pass
        else:
            if volume.read_only:  # the last step of an upload: Glance may have the image
                LOG.warning('Volume %(volume)s is a complete image %(image)s: it stays.',
                            {'volume': volume_id, 'image': image})
            elif volume.metadata.get('glance_image_id') == image:
                remove(tools, volume_id, 'the upload of image %s was interrupted' % image)
    gate.forget()


def _leave_lost_place(tools: attachments.Tools, volume_id: str, note: records.Note) -> None:
    """Take from a note what is not ours any more, because somebody has deleted the attachment.

    The backend may have given its place (target, LUN) to another volume, which this host may use: what
    is there now must not be disconnected.
    """
    if not note.get('tried') or tools.cinder.has_attachment(note['attachment']):
        return
    if note.get('device') or note['connection'].get('driver_volume_type') != 'rbd':
        LOG.error('Volume %(volume)s of the store %(store)s was attached to this host, and Cinder does not '
                  'know the attachment %(attachment)s any more: what is on the host in its place is left '
                  'alone (%(path)s).',
                  {'volume': volume_id, 'store': tools.store, 'attachment': note['attachment'],
                   'path': (note.get('device') or {}).get('path') or 'nobody noted its device'})
    note.update(tried=False, device=None, owner=None)


def _undo_creation(tools: attachments.Tools, note: records.Note) -> bool:
    """Delete the volume that an upload asked for, and did not hear of.

    :returns: whether nobody need look again: it was found, or Cinder had time enough to create it.
    """
    known = False
    LOG.warning("An upload that is gone had asked Cinder for a volume with the description "
                "'%s': looking for it.", note['description'])
    for found in tools.cinder.volumes_named(note['creating']):
        if found.description != note['description']:
            continue
        known = True
        # A volume with a note of its own is that note's; an image is seen only when its note is gone.
        if tools.records.read(found.id) is None and not tools.cinder.volume(found.id).read_only:
            remove(tools, found.id, 'its upload was interrupted')
    return known or time.time() >= note.get('asked', 0) + tools.timeouts.state
