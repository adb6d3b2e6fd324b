# SPDX-License-Identifier: Apache-2.0
"""The operations of a compute host on RBD, each through Nova's own driver or manager."""

import inspect
import typing

from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from nova import conf
from nova.network import model
from nova import objects
from nova.virt.libvirt import utils as libvirt_utils

from lab.nova import operations
from lab.nova import releases
from lab.nova import servers

CONF = conf.CONF
# Names for the reader: Nova registers its objects at run time, and is not annotated.
Context = typing.Any
Instance = typing.Any
Manager = typing.Any
Wanted = typing.Dict[str, typing.Any]
Result = typing.Dict[str, typing.Any]


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
        self._operations = {
            'boot': self._boot, 'unshelve': self._unshelve, 'delete': self._delete,
            'snapshot': self._snapshot, 'shelve': self._snapshot, 'cache_image': self._cache_image,
        }

    def prepare(self, wanted: Wanted) -> Server:
        """Do what nova-api did before the host is called: the record of a new server."""
        context = self._context_of(wanted)
        if wanted['operation'] == 'boot':
            return self._new(context, wanted, wanted['image_ref'])
        if wanted['operation'] == 'unshelve':
            return self._new(context, wanted, wanted['base_image_ref'])
        return Server(context)

    def operate(self, wanted: Wanted, server: Server) -> Result:
        """Run one operation; return what its result has besides the common part."""
        return self._operations[wanted['operation']](wanted, server)

    def _new(self, context: Context, wanted: Wanted, image_ref: str) -> Server:
        images = releases.image_api()
        instance = servers.boot(context, self._manager, images, {'image_ref': image_ref})
        instance.flavor.root_gb = instance.root_gb = wanted.get('root_gb', 1)
        unshelved = wanted['operation'] == 'unshelve'
        instance.vm_state = vm_states.SHELVED_OFFLOADED if unshelved else vm_states.BUILDING
        instance.task_state = task_states.SPAWNING
        instance.power_state = power_state.NOSTATE
        instance.save()
        image = images.get(context, wanted['image_ref'])
        server = Server(context, instance, objects.ImageMeta.from_dict(image))
        self._by_name[wanted.get('name')] = server
        return server

    def _boot(self, wanted: Wanted, server: Server) -> Result:
        return self._spawn(server)

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

    def _spawn(self, server: Server) -> Result:
        instance, spawn = server.instance, self._manager.driver.spawn
        offered = {'network_info': model.NetworkInfo([]), 'allocations': {},
                   'block_device_info': _no_volumes(instance)}
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
            _no_volumes(server.instance))
        return {'server': server.instance.uuid, 'disk': _disk(server.instance)}

    def _snapshot(self, wanted: Wanted, given: Server) -> Result:
        """From nova-api on; the server is off, as Nova's fake libvirt copies no disks."""
        instance = self._by_name[wanted['name']].instance
        if instance.vm_state == vm_states.ACTIVE:
            self._shut_off(instance)
        image_id, _, error = operations.BY_NAME[wanted['operation']](
            given.context, self._manager, instance, wanted.get('image_name', 'lab-image'))
        if error:
            raise error
        return {'server': instance.uuid, 'image_id': image_id}

    def _shut_off(self, instance: Instance) -> None:
        driver = self._manager.driver
        driver.power_off(instance)
        try:
            libvirt_utils.find_disk(driver._host.get_guest(instance))
        except RuntimeError:
            # The fake libvirt of older releases forgets where a disk on the network is.
            driver._host.get_connection().defineXML(servers.GUEST.format(
                name=instance.name, uuid=instance.uuid, format='raw',
                path='rbd:' + _disk(instance)))
        instance.vm_state, instance.power_state = vm_states.STOPPED, power_state.SHUTDOWN
        instance.save()

    def _cache_image(self, wanted: Wanted, server: Server) -> Result:
        """The compute manager's method; releases without it have no image cache to be asked."""
        if not hasattr(self._manager, 'cache_images'):
            return {'outcome': 'unsupported'}
        answered = self._manager.cache_images(server.context, [wanted['image_ref']])
        return {'outcome': answered[wanted['image_ref']]}


def _disk(instance: Instance) -> str:
    return '%s/%s_disk' % (CONF.libvirt.images_rbd_pool, instance.uuid)


def _no_volumes(instance: Instance) -> typing.Dict[str, typing.Any]:
    return {'root_device_name': instance.root_device_name, 'swap': None, 'image': [],
            'ephemerals': [], 'block_device_mapping': []}
