# SPDX-License-Identifier: Apache-2.0
"""Stands for glance_store.location."""


class StoreLocation:

    def __init__(self, store_specs, conf, backend_group=None):
        self.conf, self.specs, self.backend_group = conf, store_specs, backend_group
        if self.specs:
            self.process_specs()


class Location:

    def __init__(self, store_name, store_location_class, conf, uri=None, image_id=None, store_specs=None,
                 backend=None):
        self.store_location = store_location_class(store_specs or {}, conf, backend_group=backend)
        if uri:
            self.store_location.parse_uri(uri)

    def get_store_uri(self):
        return self.store_location.get_uri()
