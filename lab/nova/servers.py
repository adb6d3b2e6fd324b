# SPDX-License-Identifier: Apache-2.0
"""Servers of the lab: the record in Nova's database, the guest in the fake libvirt, and their operations.

Each operation goes through Nova's own driver, manager or API.
"""

import inspect
import os
import shutil
import typing
import uuid

from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
import nova.conf
from nova import exception
from nova.network import model
from nova import objects
from nova import utils
from nova.virt.libvirt import utils as libvirt_utils
from oslo_utils import timeutils

from lab.nova import database
from lab.nova import operations
from lab.nova import releases
from lab.nova import settings

CONF = nova.conf.CONF
# Names for the reader: Nova registers its objects at run time, and is not annotated.
Context = typing.Any
Flavor = typing.Any
Instance = typing.Any
Manager = typing.Any

Wanted = typing.Dict[str, typing.Any]
Result = typing.Dict[str, typing.Any]

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


class Server(typing.NamedTuple):
    """A server, or what is known of it before it is booted."""

    context: Context
    instance: Instance = None
    image_meta: typing.Any = None


class Servers:
    """The servers of one host, by the names that the operations give them."""

    def __init__(self, manager: Manager, context_of: typing.Callable[[Wanted], Context]) -> None:
        self._manager = manager
        self._context_of = context_of
        self._by_name: typing.Dict[typing.Optional[str], Server] = {}
        self._operations = {'boot': self._boot, 'unshelve': self._unshelve, 'delete': self._delete,
                            'rescue': self._rescue, 'cache_image': self._cache_image}

    def prepare(self, wanted: Wanted) -> Server:
        """Do what nova-api did before the host is called: the record of a new server."""
        context = self._context_of(wanted)
        if wanted['operation'] == 'boot':
            return self._new(context, wanted, wanted['image_ref'])
        if wanted['operation'] == 'unshelve':
            return self._new(context, wanted, wanted['base_image_ref'])
        if wanted['operation'] == 'rescue':
            image = releases.image_api().get(context, wanted['image_ref'])
            return Server(context, self._by_name[wanted['name']].instance, objects.ImageMeta.from_dict(image))
        return Server(context)

    def operate(self, wanted: Wanted, server: Server) -> Result:
        """Run one operation; return what its result has in addition to the common part."""
        return self._operations.get(wanted['operation'], self._take_image)(wanted, server)

    def _new(self, context: Context, wanted: Wanted, image_ref: str) -> Server:
        images = releases.image_api()
        instance = _record(context, images, {'image_ref': image_ref})
        instance.flavor.root_gb = instance.root_gb = wanted.get('root_gb', 1)
        unshelved = wanted['operation'] == 'unshelve'
        instance.vm_state = vm_states.SHELVED_OFFLOADED if unshelved else vm_states.BUILDING
        instance.task_state = task_states.SPAWNING
        instance.power_state = power_state.NOSTATE
        instance.config_drive = 'True' if wanted.get('user_data') else ''
        instance.user_data = wanted.get('user_data')
        instance.save()
        image = images.get(context, wanted['image_ref'])
        server = Server(context, instance, objects.ImageMeta.from_dict(image))
        self._by_name[wanted.get('name')] = server
        return server

    def _boot(self, wanted: Wanted, server: Server) -> Result:
        return self._spawn(server, wanted.get('swap_mb', 0), wanted.get('ephemeral_gb', 0))

    def _rescue(self, _wanted: Wanted, server: Server) -> Result:
        instance, rescue = server.instance, self._manager.driver.rescue
        offered = {'block_device_info': _local_disks(instance), 'share_info': []}
        taken = inspect.signature(rescue).parameters
        rescue(server.context, instance, model.NetworkInfo([]), server.image_meta, None,
               **{name: value for name, value in offered.items() if name in taken})
        return {'server': instance.uuid, 'disk': _disk(instance) + '.rescue'}

    def _unshelve(self, wanted: Wanted, server: Server) -> Result:
        """As ComputeManager._unshelve_instance does it around the driver."""
        instance = server.instance
        instance.image_ref = wanted['image_ref']
        try:
            result = self._spawn(server)
        finally:
            instance.image_ref = wanted['base_image_ref']
        self._manager._delete_snapshot_of_shelved_instance(
            server.context, instance, wanted['image_ref'])
        return result

    def _spawn(self, server: Server, swap_mb: int = 0, ephemeral_gb: int = 0) -> Result:
        instance, spawn = server.instance, self._manager.driver.spawn
        offered = {'network_info': model.NetworkInfo([]), 'allocations': {},
                   'block_device_info': _local_disks(instance, swap_mb, ephemeral_gb)}
        taken = inspect.signature(spawn).parameters
        spawn(server.context, instance, server.image_meta, injected_files=[],
              admin_password=None,
              **{name: value for name, value in offered.items() if name in taken})
        instance.vm_state, instance.task_state = vm_states.ACTIVE, None
        instance.power_state = power_state.RUNNING
        instance.save()
        return {'server': instance.uuid, 'disk': _disk(instance)}

    def _delete(self, wanted: Wanted, _server: Server) -> Result:
        server = self._by_name.pop(wanted['name'])
        self._manager.driver.destroy(
            server.context, server.instance, model.NetworkInfo([]),
            _local_disks(server.instance))
        return {'server': server.instance.uuid, 'disk': _disk(server.instance)}

    def _take_image(self, wanted: Wanted, given: Server) -> Result:
        """Snapshot, backup, shelve, ... from nova-api on, of a server that was booted or is brought."""
        brought = 'image_ref' in wanted or 'disk' in wanted or wanted['operation'] == 'volume_snapshot'
        if brought:
            instance = self._bring(given.context, wanted)
        else:
            instance = self._by_name[wanted['name']].instance
            if instance.vm_state == vm_states.ACTIVE:
                self._shut_off(instance)
        image_id, seconds, error = operations.BY_NAME[wanted['operation']](
            given.context, self._manager, instance, wanted.get('image_name', 'lab-image'))
        if brought:
            # For a lab that runs many operations.
            shutil.rmtree(_directory(instance), ignore_errors=True)
        return {'server': instance.uuid, 'image_id': image_id, 'seconds': round(seconds, 4),
                'error': operations.describe(error) if error else None}

    def _bring(self, context: Context, wanted: Wanted) -> Instance:
        """Return an Instance with a guest on this host, as it is some time after its boot.

        The guest is shut off: Nova then reads its disk by qemu-img. Of a running one libvirt itself
        would copy the disk, which the fake libvirt does not do.

        :raises OSError: when the file that the disk's bytes come from cannot be read.
        """
        instance = _record(context, releases.image_api(), wanted)
        if 'disk' in wanted:
            os.makedirs(_directory(instance))
            path = shutil.copyfile(wanted['disk']['bytes_from'], os.path.join(_directory(instance), 'disk'))
            self._define(instance, wanted['disk'].get('format', 'raw'), path)
        return instance

    def _shut_off(self, instance: Instance) -> None:
        """Shut a server off, as Nova's fake libvirt copies no disks."""
        driver = self._manager.driver
        driver.power_off(instance)
        try:
            libvirt_utils.find_disk(driver._host.get_guest(instance))
        except RuntimeError:
            # The fake libvirt of older releases forgets where a disk on the network is.
            self._define(instance, 'raw', 'rbd:' + _disk(instance))
        instance.vm_state, instance.power_state = vm_states.STOPPED, power_state.SHUTDOWN
        instance.save()

    def _define(self, instance: Instance, disk_format: str, path: str) -> None:
        """Define the guest in the connection that Nova's driver has open."""
        self._manager.driver._host.get_connection().defineXML(GUEST.format(
            name=instance.name, uuid=instance.uuid, format=disk_format, path=path))

    def _cache_image(self, wanted: Wanted, server: Server) -> Result:
        """The compute manager's method; a release without it keeps no images beforehand."""
        if not hasattr(self._manager, 'cache_images'):
            return {'outcome': 'unsupported'}
        answered = self._manager.cache_images(server.context, [wanted['image_ref']])
        return {'outcome': answered[wanted['image_ref']]}


def _disk(instance: Instance) -> str:
    return '%s/%s_disk' % (CONF.libvirt.images_rbd_pool, instance.uuid)


def _local_disks(instance: Instance, swap_mb: int = 0, ephemeral_gb: int = 0
                 ) -> typing.Dict[str, typing.Any]:
    """Return what Nova says of the disks of a server without volumes."""
    info: typing.Dict[str, typing.Any] = {
        'root_device_name': instance.root_device_name, 'swap': None, 'image': [], 'ephemerals': [],
        'block_device_mapping': []}
    if swap_mb:
        info['swap'] = {'device_name': '/dev/vdc', 'swap_size': swap_mb, 'disk_bus': 'virtio'}
    if ephemeral_gb:
        info['ephemerals'] = [{'device_name': '/dev/vdb', 'size': ephemeral_gb, 'disk_bus': 'virtio',
                               'device_type': 'disk', 'guest_format': 'ext4'}]
    return info


def _record(context: Context, image_api: typing.Any, wanted: Wanted) -> Instance:
    """Create the record as nova-api and the compute host left it."""
    image_ref = wanted.get('image_ref', '')
    instance = objects.Instance(
        context, uuid=str(uuid.uuid4()), display_name=wanted.get('name') or 'lab-server',
        user_id=context.user_id, project_id=context.project_id, hostname='lab-server',
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


def _directory(instance: Instance) -> str:
    return os.path.join(str(CONF.instances_path), str(instance.uuid))
