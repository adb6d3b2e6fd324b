# SPDX-License-Identifier: Apache-2.0
"""Our driver, with a point before and after every call of os-brick and every call of a device."""
import typing

from lab.volume_store.points import POINTS
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import store

NAME = 'labvolume'
# glance_store looks for it in the module of the Store.
StoreLocation = store.StoreLocation


class Store(store.Store):
    """It has a name of its own, as the entry point is named."""

    def get_schemes(self) -> typing.Tuple[str, ...]:
        return (NAME,) + super().get_schemes()[1:]

    def make_brick(self, settings: typing.Any) -> typing.Any:
        return Through(super().make_brick(settings), 'brick', set())

    def open_device(self, volume_id: str, path: typing.Any, writable: bool) -> typing.Any:
        made: typing.List[typing.Any] = []

        def opened() -> typing.Any:
            made.append(super(Store, self).open_device(volume_id, path, writable))
            return made[0]

        try:
            return Through(POINTS.reach('device.open', opened), 'device', {'can_zero'}, volume_id)
        except OSError:
            for device in made:  # an open() that fails gives no descriptor that could stay open
                device.close()
            raise


class Through:
    """Stands for an object; its methods go through a point, but for some that cannot fail."""

    def __init__(self, inner: typing.Any, kind: str, plain: typing.Set[str], volume: str = '') -> None:
        self._inner, self._kind, self._plain, self._volume = inner, kind, plain, volume

    def __getattr__(self, name: str) -> typing.Any:
        found = getattr(self._inner, name)
        if not callable(found) or name in self._plain:
            return found

        def call(*arguments: typing.Any, **named: typing.Any) -> typing.Any:
            try:
                return POINTS.reach('%s.%s' % (self._kind, name), lambda: found(*arguments, **named))
            except OSError as error:
                # As the device itself raises.
                raise errors.DeviceError(what=name, volume=self._volume, offset=0, errno=error.errno,
                                         why=str(error)) from error
        return call
