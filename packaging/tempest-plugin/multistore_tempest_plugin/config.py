# SPDX-License-Identifier: Apache-2.0
"""The options of tempest.conf about a cloud; the devstack plugin writes it."""

from oslo_config import cfg

group = cfg.OptGroup('multistore', title='Glance stores, and which service uses which')
OPTIONS = [
    cfg.ListOpt('stores', default=[],
                help='The stores that tests may upload to, by the ids that Glance lists. With less '
                     'than two, every test is skipped.'),
    cfg.StrOpt('default_store', default='', help="Glance's default store."),
    cfg.StrOpt('compute_store', default='',
               help='The RBD store of the Ceph cluster that the compute nodes boot from, '
                    '[libvirt] images_rbd_glance_store_name in nova.conf. Empty: none.'),
    cfg.StrOpt('volume_store', default='',
               help="The RBD store in the Ceph cluster of Cinder's backends, rbd_glance_store_name in "
                    'cinder.conf. Empty: none.'),
    cfg.DictOpt('volume_types', default={},
                help='Volume types that name a store (image_service:store_id): TYPE:STORE,...'),
]

feature_group = cfg.OptGroup('multistore-feature-enabled',
                             title='What of multistore-hooks is configured in the cloud')
FEATURES = [
    cfg.BoolOpt('copy_image', default=False,
                help='Glance has the import method copy-image.'),
    cfg.BoolOpt('snapshot', default=False,
                help="Snapshots go to the store of the server's image: by the driver in Nova, or "
                     'by the filter in Glance; and no dedicated store is configured.'),
    cfg.BoolOpt('clone', default=False,
                help='Nova has an image copied into compute_store and clones it, and '
                     '[workarounds] never_download_image_if_on_rbd is set: a boot that cannot '
                     'clone fails.'),
    cfg.BoolOpt('site_images', default=False,
                help='All compute nodes have [multistore_hooks] site_images = fallback or only, and '
                     '[workarounds] never_download_image_if_on_rbd is set: a boot that cannot '
                     'clone fails.'),
    cfg.BoolOpt('volume_clone', default=False,
                help='Cinder has an image copied into volume_store and clones it.'),
    cfg.BoolOpt('volume_upload', default=False,
                help='Cinder has the volume manager of multistore-hooks.'),
    cfg.BoolOpt('type_validation', default=False,
                help='Cinder refuses volume types that name an unknown store.'),
    cfg.BoolOpt('colocate', default=False,
                help='Glance has the filter, with colocate_volumes = all: an uploaded volume goes '
                     'to all stores of its image.'),
    cfg.BoolOpt('rules', default=False,
                help='A timer has "multistore-hooks image place" copy each image with the tag '
                     'multistore-STORE to that store.'),
]
