# SPDX-License-Identifier: Apache-2.0
"""``openstack multistore store ...`` and ``openstack multistore image list|evict|place|watch``."""

from multistore_hooks.cli import image_evict
from multistore_hooks.cli import image_list
from multistore_hooks.cli import image_place
from multistore_hooks.cli import image_watch
from multistore_hooks.cli.osc import image as osc_image
from multistore_hooks.cli import store


class StoreList(osc_image.InOpenstackclient, store.StoreList):
    __doc__ = store.StoreList.__doc__


class Drain(osc_image.InOpenstackclient, store.Drain):
    __doc__ = store.Drain.__doc__


class Check(osc_image.InOpenstackclient, store.Check):
    __doc__ = store.Check.__doc__


class DataRemove(osc_image.InOpenstackclient, store.DataRemove):
    __doc__ = store.DataRemove.__doc__


class List(osc_image.InOpenstackclient, image_list.List):
    __doc__ = image_list.List.__doc__


class Evict(osc_image.InOpenstackclient, image_evict.Evict):
    __doc__ = image_evict.Evict.__doc__


class Place(osc_image.InOpenstackclient, image_place.Place):
    __doc__ = image_place.Place.__doc__


class Watch(osc_image.InOpenstackclient, image_watch.Watch):
    __doc__ = image_watch.Watch.__doc__
