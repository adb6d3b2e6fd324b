# SPDX-License-Identifier: Apache-2.0
"""The operations of the lab: each is Nova's own, from nova-api or nova-conductor to the driver."""

import time
import typing

from nova.compute import api as compute_api
from nova.compute import task_states
import nova.context
from nova import exception
from nova import objects
from nova.objects import base as objects_base
from nova.volume import cinder
from oslo_serialization import jsonutils

from lab.nova import releases

# Names for the reader: Nova registers its objects at run time, and is not annotated.
Context = typing.Any
Manager = typing.Any
Instance = typing.Any
# The image's id, or None where none came about; seconds; and the error, or None.
Outcome = typing.Tuple[typing.Optional[str], float, typing.Optional[Exception]]


class Calls:
    """Hands calls to the compute host over to its manager, serialized as for the wire.

    nova-api and nova-conductor are given it in place of their RPC client. Errors come back to the
    caller, where a cast over RPC would leave them in the host's log only.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._serializer = objects_base.NovaObjectSerializer()
        self.image_id: typing.Optional[str] = None
        self.seconds: typing.Optional[float] = None

    def snapshot_instance(self, context: Context, instance: Instance, image_id: str) -> None:
        self._call(self._manager.snapshot_instance, context, instance=instance, image_id=image_id)

    def backup_instance(self, context: Context, instance: Instance, image_id: str,
                        backup_type: str, rotation: int) -> None:
        self._call(self._manager.backup_instance, context, instance=instance, image_id=image_id,
                   backup_type=backup_type, rotation=rotation)

    def shelve_instance(self, context: Context, instance: Instance, image_id: str,
                        clean_shutdown: bool, **more: typing.Any) -> None:
        self._call(self._manager.shelve_instance, context, instance=instance, image_id=image_id,
                   clean_shutdown=clean_shutdown, **more)

    def prep_snapshot_based_resize_at_source(
            self, context: Context, instance: Instance, _migration: None, snapshot_id: str
    ) -> None:
        self._call(releases.resize_snapshot(self._manager), context, instance=instance,
                   image_id=snapshot_id)

    def _call(self, method: typing.Callable[..., typing.Any], context: Context, image_id: str,
              **arguments: typing.Any) -> None:
        self.image_id = image_id
        context = nova.context.RequestContext.from_dict(self._over_wire(context.to_dict()))
        arguments = {name: self._received(context, value) for name, value in arguments.items()}
        started = time.monotonic()
        try:
            releases.wait_for(method(context, image_id=image_id, **arguments))
        finally:
            self.seconds = time.monotonic() - started

    def _received(self, context: Context, value: typing.Any) -> typing.Any:
        sent = self._serializer.serialize_entity(context, value)
        return self._serializer.deserialize_entity(context, self._over_wire(sent))

    @staticmethod
    def _over_wire(value: typing.Any) -> typing.Any:
        return jsonutils.loads(jsonutils.dumps(value))


class ComputeAPI(compute_api.API):
    """nova-api's compute API, with its calls handed over in this process."""

    def __init__(self, manager: Manager, **arguments: typing.Any) -> None:
        super().__init__(**arguments)
        self.compute_rpcapi = Calls(manager)


class Volumes(cinder.API):
    """As much of Cinder as the snapshot of a volume-backed server needs."""

    def get_absolute_limits(self, context: Context) -> typing.Dict[str, int]:
        return {'totalSnapshotsUsed': 0, 'maxTotalSnapshots': -1}

    def get(self, context: Context, volume_id: str, microversion: typing.Optional[str] = None
            ) -> typing.Dict[str, str]:
        return {'id': volume_id, 'display_description': ''}

    def create_snapshot_force(self, context: Context, volume_id: str, name: str, description: str
                              ) -> typing.Dict[str, str]:
        return {'id': volume_id}


def snapshot(context: Context, manager: Manager, instance: Instance, name: str) -> Outcome:
    """``openstack server image create`` of a server with a local disk."""
    api = ComputeAPI(manager)
    return _finish(api.compute_rpcapi, api.snapshot, context, instance, name)


def backup(context: Context, manager: Manager, instance: Instance, name: str) -> Outcome:
    """``openstack server backup create``, the newest one kept."""
    api = ComputeAPI(manager)
    return _finish(api.compute_rpcapi, api.backup, context, instance, name, 'daily', 1,
                   extra_properties={})


def shelve(context: Context, manager: Manager, instance: Instance, _name: str) -> Outcome:
    """``openstack server shelve``; Nova names the image after the server."""
    api = ComputeAPI(manager)
    return _finish(api.compute_rpcapi, api.shelve, context, instance)


def cross_cell(context: Context, manager: Manager, instance: Instance, _name: str) -> Outcome:
    """The snapshot that a cross-cell resize takes of its server, and names after it."""
    calls = Calls(manager)
    instance.task_state = task_states.RESIZE_PREP
    instance.save()
    request_spec = objects.RequestSpec(context, is_bfv=not instance.image_ref)

    def resize() -> None:
        releases.prepare_resize_task(
            context, instance, request_spec, calls, releases.image_api()).execute()

    return _finish(calls, resize)


def volume_snapshot(context: Context, manager: Manager, instance: Instance, name: str) -> Outcome:
    """``openstack server image create`` of a server that was booted from a volume."""
    objects.BlockDeviceMapping(
        context, instance_uuid=instance.uuid, source_type='volume', destination_type='volume',
        device_name='/dev/vda', boot_index=0, volume_id=instance.uuid, volume_size=1,
        delete_on_termination=False, connection_info='{}').create()
    api = ComputeAPI(manager, volume_api=Volumes())
    return _finish(api.compute_rpcapi, api.snapshot_volume_backed, context, instance, name)


def _finish(calls: Calls, operation: typing.Callable[..., typing.Any], *arguments: typing.Any,
            **named: typing.Any) -> Outcome:
    """Run the operation; return the image's id, the host's seconds, and the error or None.

    An error that comes before the host was called has no image; the snapshot of a volume-backed
    server does not call the host, so its seconds are those of nova-api.
    """
    started = time.monotonic()
    error: typing.Optional[Exception] = None
    try:
        returned = operation(*arguments, **named)
    except Exception as caught:         # whatever it is, it is the result
        error = caught
    else:
        calls.image_id = calls.image_id or returned['id']
    if calls.seconds is None:
        calls.seconds = time.monotonic() - started
    return calls.image_id, calls.seconds, error


BY_NAME = {
    'snapshot': snapshot,
    'backup': backup,
    'shelve': shelve,
    'cross_cell': cross_cell,
    'volume_snapshot': volume_snapshot,
}


def describe(error: Exception) -> str:
    """One line for an error: its class and its message, as an operator would see them."""
    message = error.format_message() if isinstance(error, exception.NovaException) else str(error)
    return '%s: %s' % (type(error).__name__, message)
