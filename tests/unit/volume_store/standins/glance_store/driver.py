# SPDX-License-Identifier: Apache-2.0
"""Stands for glance_store.driver."""

import functools
import sys

from glance_store import exceptions
from oslo_config import cfg


class Store:
    OPTIONS = None

    def __init__(self, conf, backend=None):
        self.conf, self.backend_group = conf, backend
        self.writable = True
        self._url_prefix = None
        try:
            conf.register_opts(self.OPTIONS, group=backend or 'glance_store')
            conf.register_opts(self.OPTIONS, group='backend_defaults')
        except cfg.DuplicateOptError:
            pass

    @property
    def url_prefix(self):
        return self._url_prefix

    def configure(self):
        try:
            self.configure_add()
        except exceptions.BadStoreConfiguration:
            self.writable = False

    def get_store_location_class(self):
        return sys.modules[type(self).__module__].StoreLocation


def back_compat_add(function):
    """Without the name of a hash, the hash is not returned."""
    @functools.wraps(function)
    def add(*args, **kwargs):
        if 'hashing_algo' in kwargs or len(args) > 4 and isinstance(args[4], str):
            return function(*args, **kwargs)
        uri, size, md5, _multihash, metadata = function(*(args[:4] + ('md5',) + args[4:]), **kwargs)
        return uri, size, md5, metadata
    return add
