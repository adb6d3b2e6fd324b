# SPDX-License-Identifier: Apache-2.0
"""Every option of the library, and the lists that oslo.config's generator and Sphinx read.

All are in the group ``[multistore_hooks]`` of the configuration file of the service that the hook
runs in, apart from those of a store on Cinder volumes, which are in the store's own section.
"""

import copy
from typing import Any
from typing import List
from typing import Tuple

from keystoneauth1 import loading
from oslo_config import cfg


GROUP = 'multistore_hooks'

#: Which service finds the base image's stores: Glance's filter if it is there, this one, or none.
AUTO, ALWAYS, NEVER = RESOLVE = ('auto', 'always', 'never')

_RESOLVE = cfg.StrOpt(
    'resolve_base_image', default=AUTO, choices=list(RESOLVE),
    help="""
Which service determines the base image's store when an image is uploaded.

Possible values:

* ``auto``: Glance, if the filter of this library is in its pipeline (the filter announces itself);
  otherwise this service, with the user's own rights.
* ``always``: this service, which names the store to Glance. Glance then stores the image there and
  nowhere else, whatever its filter would do.
* ``never``: not this service. It still sends the header X-OpenStack-Base-Image-Ref; a Glance without
  the filter ignores it and uses its default store.

Related options: a store that is named (``snapshot_store``, ``upload_store``, a volume type's
``image_service:store_id``) comes before the base image's.
""")

#: When the hosts of a site make base images for themselves.
OFF, FALLBACK, ONLY = SITE_IMAGES = ('off', 'fallback', 'only')

NOVA_OPTS = [
    cfg.StrOpt(
        'snapshot_store',
        help="""
The Glance store for all snapshots, backups and shelved servers of this compute service.

The id of a store as ``GET /v2/info/stores`` lists it. The base image's store is then ignored. If
there is no such store, or it is read-only, a snapshot fails at once with an error that names it.

Unset (the default), a snapshot goes to the store of its base image.
"""),
    _RESOLVE,
    cfg.StrOpt(
        'glance_rbd_pool', default='images',
        help="""
The pool of the Glance store ``[libvirt] images_rbd_glance_store_name`` in this compute's Ceph
cluster.

It is ``rbd_store_pool`` of that store in glance-api.conf. Used to find an image whose locations
Glance hides, and to notice the end of a copy without a request to Glance. Nova's Ceph
user needs read access to it, as it does for cloning.
"""),
    cfg.IntOpt(
        'location_timeout', default=3600, min=0,
        help="""
How long, in seconds, shelving a server whose disk is in Ceph waits for Glance to take on the
location of its snapshot.

Glance 2024.2 and later do that after their response, and may be busy with the hashes of other
images. Shelving deletes the server's disk, so the image has to be active before; after this time
shelving fails and the disk is kept. A cross-cell resize waits in the same way. Snapshots and
backups wait at most a minute, and are then left to Glance.

The default is the time after which Glance itself gives up a task that makes no progress.
"""),
    cfg.StrOpt(
        'site_images', default=OFF, choices=list(SITE_IMAGES),
        help="""
Whether the hosts of a Ceph cluster make base images for themselves (site images), and clone them.

One host downloads the image and converts it as Nova does, imports it into the cluster once, and all
hosts clone it. This works for every format that Nova converts, and wherever Glance keeps the image.
ISO and encrypted images are left to Nova.

Possible values:

* ``off``: an image that cannot be cloned is downloaded by each host, and each server's disk is a
  whole copy of it, as in stock Nova.
* ``fallback``: a site image is made if Glance cannot copy the image to
  ``[libvirt] images_rbd_glance_store_name``, or does not begin to within ``site_image_after``
  seconds, or if that option is not set.
* ``only``: no copy is requested of Glance. Images that are in this cluster already are cloned.

All computes of a cluster should have the same value, and the hook: stock Nova puts a direct
snapshot of a server that was made from a site image into the pool of the site image, which Glance
cannot read.

Related options: ``[libvirt] images_type`` must be ``rbd``. ``[image_cache]``
``remove_unused_base_images`` and ``remove_unused_original_minimum_age_seconds`` apply to site images
too. ``[workarounds] never_download_image_if_on_rbd`` forbids a download for each server, not the one
for a site image.
"""),
    cfg.IntOpt(
        'site_image_after', default=60, min=0,
        help="""
How long, in seconds, a boot waits while copies of the image to other stores keep Glance from
beginning the copy to this store, before a site image is made. For ``site_images = fallback``.
"""),
    cfg.StrOpt(
        'site_image_pool', default='',
        help="""
The pool for site images, in this compute's Ceph cluster. Nova's Ceph user must be allowed to write
it. Empty (the default): the pool of the servers' disks, ``[libvirt] images_rbd_pool``.

A compute without the hook, to which a server with a disk from this pool is moved, puts direct snapshots
there, which Glance cannot read. If all computes of the cluster have the hook, name the pool of the disks;
else a pool that only computes with the hook may write. ``multistore-status upgrade check`` warns as long
as this option is empty.
"""),
]

COPY_OPTS = [
    cfg.IntOpt(
        'copy_turn_timeout', default=60, min=0,
        help="""
How long, in seconds, to wait while imports for other stores hold an image that has to be copied.

Glance runs one import of an image at a time, so the stores that want it take turns. When this time is
over, the service goes on without a copy: it downloads the image. Waiting occupies a build slot of
nova-compute, so keep it short, and copy images that many sites need before the first boot
(``multistore-hooks image copy``). The copy itself, once it has begun, is limited by
``[libvirt] images_rbd_glance_copy_timeout``.

Possible values:

* 0: do not wait for other stores' imports.
* Any other number: seconds. For a cloud where every site shall get its copy, however long that takes:
  the number of sites times the duration of a copy.

It has no effect where there is no other way to the image (``[workarounds]
never_download_image_if_on_rbd``, ``openstack aggregate cache image``): then the turn is waited for as
long as the copy.
"""),
]

# Nova's own, of Victoria and later, registered here where a release lacks them, so that one
# configuration is right for all. Their names, groups and defaults are Nova's.
NOVA_COPY_OPTS = [
    cfg.StrOpt(
        'images_rbd_glance_store_name', default='',
        help="""
The Glance store that is in this compute's own Ceph cluster.

If it is set, an image that is not there is copied there by Glance, and then cloned, before an
instance boots from it. Needs ``images_type = rbd``, ``copy-image`` among Glance's
``enabled_import_methods``, and a policy ``copy_image`` in Glance that accepts
``service_roles:service`` (with ``[service_user] send_service_user_token``) or the credentials in
``[multistore_hooks]``.
"""),
    cfg.IntOpt(
        'images_rbd_glance_copy_poll_interval', default=15, min=1,
        help="""
Maximum interval, in seconds, between two polls of a copy in progress.

The first polls are closer together: a tenth of the time waited so far.
"""),
    cfg.IntOpt(
        'images_rbd_glance_copy_timeout', default=600, min=0,
        help="""
How long, in seconds, a copy of the image to this site's store may take, from when it begins, before an
instance gives up waiting for it. 0: a day.
"""),
]

CINDER_OPTS = [
    cfg.StrOpt(
        'upload_store',
        help="""
The Glance store for volumes that are uploaded as images, where the volume type does not name one.

The id of a store as ``GET /v2/info/stores`` lists it. A volume type's ``image_service:store_id``
comes first, the base image's store is ignored. If there is no such store, or it is read-only, an
upload fails at once with an error that names it.

Unset (the default), the image goes to the store of its base image.
"""),
    _RESOLVE,
]

#: Of an RBD backend, in its own section.
CINDER_RBD_OPTS = [
    cfg.StrOpt(
        'rbd_glance_store_name', default='',
        help="""
The Glance store that is in the Ceph cluster of this backend.

The id of a store as ``GET /v2/info/stores`` lists it. If it is set, an image that is not there is
copied there by Glance before a volume is created from it, and the volume is a clone of the copy. A raw
volume whose image belongs into this store is copied there inside the cluster, and not sent to Glance; for
that ``rbd_user`` must be allowed to write the store's pool. Set ``rbd_glance_pool`` with it.

Needs the volume manager of this library, or its mixin before the backend's driver. Copies by Glance need
``copy-image`` among Glance's ``enabled_import_methods``, and a policy ``copy_image`` in Glance that accepts
the credentials in ``[multistore_hooks]`` or, without those, ``service_roles:service`` (with
``[service_user] send_service_user_token``).

Unset (the default), volumes are created as by Cinder alone, and uploads are sent to Glance.
"""),
    cfg.StrOpt(
        'rbd_glance_pool', default='images',
        help="""
The pool of the Glance store ``rbd_glance_store_name`` in the Ceph cluster of this backend.

It is ``rbd_store_pool`` of that store in glance-api.conf. Used to find an image whose locations Glance
does not show, to see without polling Glance that a copy is complete, and for the images of uploaded
volumes where Glance does not show its stores' pools (``GET /v2/info/stores/detail``). ``rbd_user`` of the
backend must be allowed to read it, which cloning from it needs anyway, and to write it for uploads inside
the cluster.
"""),
    cfg.IntOpt(
        'rbd_glance_copy_timeout', default=600, min=0,
        help="""
How long, in seconds, a volume waits for the copy of its image, from when the copy begins. Then Cinder
creates it without: by its image cache, or a download. 0: a day.

While copies to other stores hold the image, a volume waits for 60 seconds at most.
"""),
    cfg.IntOpt(
        'rbd_glance_copy_poll_interval', default=15, min=1,
        help="""
Maximum interval, in seconds, between two polls of a copy in progress.

The first polls are closer together: a tenth of the time waited so far.
"""),
]

ALL, PRIMARY = 'all', 'primary'

GLANCE_OPTS = [
    cfg.StrOpt(
        'colocate_volumes', default=ALL, choices=[ALL, PRIMARY],
        help="""
The stores for the image of an uploaded volume whose base image is in several stores.

Possible values:

* ``all``: one of them; after the upload Glance copies the image to the others. This needs
  ``copy-image`` among ``enabled_import_methods``.
* ``primary``: one of them.

Can be set in the filter's section of the paste file too, which then comes first.
"""),
    cfg.StrOpt(
        'colocate_snapshots', default=PRIMARY, choices=[ALL, PRIMARY],
        help="""
The stores for a snapshot of a server whose base image is in several stores: see
``colocate_volumes``.
"""),
]


def register_nova_opts(conf: cfg.ConfigOpts) -> None:
    """Register what nova-compute reads."""
    conf.register_opts(NOVA_OPTS + COPY_OPTS, group=GROUP)
    loading.register_auth_conf_options(conf, GROUP)
    for option in NOVA_COPY_OPTS:
        if option.dest not in conf.libvirt:
            conf.register_opt(option, group='libvirt')


def register_cinder_opts(conf: cfg.ConfigOpts) -> None:
    """Register what cinder-volume reads, apart from CINDER_RBD_OPTS: those are in a backend's section."""
    conf.register_opts(CINDER_OPTS, group=GROUP)
    loading.register_auth_conf_options(conf, GROUP)


def register_glance_opts(conf: cfg.ConfigOpts) -> None:
    """Register what the filter in glance-api reads."""
    conf.register_opts(GLANCE_OPTS, group=GROUP)


_Listed = List[Tuple[str, List[Any]]]


def list_nova_opts() -> _Listed:
    """Return the options for nova.conf, as oslo.config's generator wants them.

    Those of ``[libvirt]`` are left out: from Victoria on Nova lists them itself.
    """
    credentials = loading.get_auth_common_conf_options() + loading.get_auth_plugin_conf_options('password')
    return [(GROUP, copy.deepcopy(NOVA_OPTS + COPY_OPTS) + credentials)]


def list_cinder_opts() -> _Listed:
    """Return the options for cinder.conf, as oslo.config's generator wants them."""
    credentials = loading.get_auth_common_conf_options() + loading.get_auth_plugin_conf_options('password')
    return [(GROUP, copy.deepcopy(CINDER_OPTS) + credentials),
            ('backend_defaults', copy.deepcopy(CINDER_RBD_OPTS))]


def list_glance_opts() -> _Listed:
    """Return the options for glance-api.conf, as oslo.config's generator wants them."""
    return [(GROUP, copy.deepcopy(GLANCE_OPTS))]
