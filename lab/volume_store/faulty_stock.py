# SPDX-License-Identifier: Apache-2.0
"""glance_store's own driver, with points where a subclass can have them without patching anything.

``brick.connect`` has none: the driver makes its connector by a module's function.
"""
import contextlib
import typing

from glance_store._drivers.cinder import store

from lab.volume_store.points import POINTS

NAME = 'labstock'
# glance_store looks for it in the module of the Store.
StoreLocation = store.StoreLocation


class Store(store.Store):
    """It has a name of its own, as the entry point is named."""

    def get_schemes(self) -> typing.Tuple[str, ...]:
        return (NAME,) + super().get_schemes()

    def _get_host_ip(self, host: str) -> typing.Any:
        # The last call before os-brick reads the properties of the host.
        return POINTS.reach('brick.properties', lambda: super(Store, self)._get_host_ip(host))

    @contextlib.contextmanager
    def temporary_chown(self, path: str) -> typing.Iterator[None]:
        # The last call before the device is opened.
        POINTS.reach('device.open', lambda: None)
        with super().temporary_chown(path):
            yield

    @contextlib.contextmanager
    def _open_cinder_volume(self, client: typing.Any, volume: typing.Any,
                            mode: str) -> typing.Iterator[typing.Any]:
        with super()._open_cinder_volume(client, volume, mode) as file:
            yield _Through(file, {'read': 'device.read', 'write': 'device.write'})

    def _disconnect_and_detach(self, client: typing.Any, volume_id: str, multiattach: bool, host: str,
                               conn: typing.Any, device: typing.Any, attachment_id: str) -> typing.Any:
        return super()._disconnect_and_detach(
            client, volume_id, multiattach, host,
            conn and _Through(conn, {'disconnect_volume': 'brick.disconnect'}), device, attachment_id)


class _Through:
    """Stands for an object, of which some methods go through a point."""

    def __init__(self, inner: typing.Any, points: typing.Dict[str, str]) -> None:
        self._inner, self._points = inner, points

    def __getattr__(self, name: str) -> typing.Any:
        found = getattr(self._inner, name)
        if name not in self._points:
            return found
        return lambda *arguments: POINTS.reach(self._points[name], lambda: found(*arguments))
