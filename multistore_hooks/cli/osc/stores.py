# SPDX-License-Identifier: Apache-2.0
"""``openstack multistore store ...`` and ``openstack multistore image list|evict|place|watch``."""

from multistore_hooks.cli import image_evict
from multistore_hooks.cli import image_list
from multistore_hooks.cli import image_place
from multistore_hooks.cli import image_watch
from multistore_hooks.cli.osc import image
from multistore_hooks.cli import store


class StoreList(image.InOpenstackclient, store.StoreList):
    __doc__ = store.StoreList.__doc__


class Drain(image.InOpenstackclient, store.Drain):
    __doc__ = store.Drain.__doc__


class Check(image.InOpenstackclient, store.Check):
    __doc__ = store.Check.__doc__


class DataRemove(image.InOpenstackclient, store.DataRemove):
    __doc__ = store.DataRemove.__doc__


class List(image.InOpenstackclient, image_list.List):
    __doc__ = image_list.List.__doc__


class Evict(image.InOpenstackclient, image_evict.Evict):
    __doc__ = image_evict.Evict.__doc__


class Place(image.InOpenstackclient, image_place.Place):
    __doc__ = image_place.Place.__doc__


class Watch(image.InOpenstackclient, image_watch.Watch):
    __doc__ = image_watch.Watch.__doc__
