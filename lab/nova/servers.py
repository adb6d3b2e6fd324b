# SPDX-License-Identifier: Apache-2.0
"""Servers of the lab: the record in Nova's database, and the guest in the fake libvirt."""

import os
import shutil
import typing
import uuid

from nova.compute import power_state
from nova.compute import vm_states
import nova.conf
from nova import exception
from nova.network import model
from nova import objects
from nova import utils
from oslo_utils import timeutils

from lab.nova import database
from lab.nova import settings

CONF = nova.conf.CONF
# Names for the reader: Nova registers its objects at run time, and is not annotated.
Context = typing.Any
Flavor = typing.Any
Instance = typing.Any
Manager = typing.Any

Wanted = typing.Dict[str, typing.Any]

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory>131072</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}'/>
      <source file='{path}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""


def boot(context: Context, manager: Manager, image_api: typing.Any,
         wanted: Wanted) -> Instance:
    """Return an Instance with a guest on this host, as it is some time after its boot.

    The guest is shut off: Nova then reads its disk by qemu-img. Of a running one libvirt itself
    would copy the disk, which the fake libvirt does not do.

    :param wanted: an operation of the document: ``image_ref`` (empty: boot from volume), ``disk``.
    :raises OSError: when the file that the disk's bytes come from cannot be read.
    """
    instance = _record(context, image_api, wanted)
    if 'disk' in wanted:
        _define(manager, instance, wanted['disk'].get('format', 'raw'),
                _disk(instance, wanted['disk']))
    return instance


def remove(instance: Instance) -> None:
    """Remove a server's disk, for a lab that runs many operations."""
    shutil.rmtree(_directory(instance), ignore_errors=True)


def _record(context: Context, image_api: typing.Any, wanted: Wanted) -> Instance:
    """Create the record as nova-api and the compute host left it."""
    image_ref = wanted.get('image_ref', '')
    instance = objects.Instance(
        context, uuid=str(uuid.uuid4()), display_name=wanted.get('server', 'lab-server'),
        user_id=context.user_id, project_id=context.project_id,
        host=settings.HOST, launched_on=settings.HOST, launched_at=timeutils.utcnow(),
        image_ref=image_ref, kernel_id='', ramdisk_id='', root_device_name='/dev/vda',
        memory_mb=128, vcpus=1, root_gb=1, ephemeral_gb=0, metadata={},
        system_metadata=_boot_metadata(context, image_api, image_ref),
        vm_state=vm_states.STOPPED, power_state=power_state.SHUTDOWN)
    instance.flavor = _flavor(context)
    instance.create()
    database.map_to_cell(instance)
    instance = objects.Instance.get_by_uuid(
        context, instance.uuid,
        expected_attrs=['system_metadata', 'metadata', 'flavor', 'info_cache'])
    instance.info_cache.network_info = model.NetworkInfo([])
    instance.info_cache.save()
    return instance


def _boot_metadata(context: Context, image_api: typing.Any, image_ref: str
                   ) -> typing.Dict[str, str]:
    """What nova-api keeps of the boot image; see API._populate_instance_for_create."""
    image = {'disk_format': 'raw', 'container_format': 'bare', 'properties': {}}
    try:
        image = image_api.get(context, image_ref) if image_ref else image
    except exception.ImageNotFound:
        pass                            # deleted since the server was booted
    metadata: typing.Dict[str, str] = utils.get_system_metadata_from_image(image)
    metadata.setdefault('image_base_image_ref', image_ref)
    return metadata


def _flavor(context: Context) -> Flavor:
    return objects.Flavor(
        context, id=1, flavorid='1', name='lab', memory_mb=128, vcpus=1, root_gb=1,
        ephemeral_gb=0, swap=0, rxtx_factor=1.0, vcpu_weight=0, is_public=True, disabled=False,
        extra_specs={}, projects=[], description=None)


def _disk(instance: Instance, wanted: Wanted) -> str:
    """Put the root disk where the compute host has it; return its path."""
    os.makedirs(_directory(instance))
    return shutil.copyfile(wanted['bytes_from'], os.path.join(_directory(instance), 'disk'))


def _directory(instance: Instance) -> str:
    return os.path.join(str(CONF.instances_path), str(instance.uuid))


def _define(manager: Manager, instance: Instance,
            disk_format: str, path: str) -> None:
    """Define the guest in the connection that Nova's driver has open."""
    manager.driver._host.get_connection().defineXML(GUEST.format(
        name=instance.name, uuid=instance.uuid, format=disk_format, path=path))
