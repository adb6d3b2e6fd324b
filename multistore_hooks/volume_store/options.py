# SPDX-License-Identifier: Apache-2.0
"""The options of a volume store. They stand in the store's own section of glance-api.conf.

The credentials, the session's and the endpoint's options in the same section are keystoneauth's. What
a section leaves out is taken from ``[backend_defaults]``, if it is set there.
"""

import copy
from typing import Any
from typing import List
from typing import Optional
from typing import Tuple

from keystoneauth1 import loading
from oslo_config import cfg

SHARED_GROUP = 'backend_defaults'
AUTO, ALWAYS, NEVER = 'auto', 'always', 'never'
#: The default of ``timeout``, in seconds, for a request to Cinder or Keystone.
REQUEST_TIMEOUT = 60
SERVICE_TYPE = 'block-storage'

OPTS = [
    cfg.StrOpt(
        'volume_type',
        help="""
The name or the id of the volume type of the volumes that hold this store's images.

It must exist, be visible to the project of this store's credentials, and not be encrypted. A type
with ``multiattach`` lets several hosts of Glance read one image at the same time; the processes of
one host share an attachment, whatever the type.

Unset: the default type of Cinder.
"""),
    cfg.ListOpt(
        'further_projects', default=[],
        help="""
The ids of further projects whose image volumes are images of this store, separated by commas.

New volumes are in the project of this store's credentials. Name here the project of credentials that
the store had before, and ``cinder_internal_tenant_project_id`` of a Cinder with
``image_upload_use_internal_tenant``, where it is another one. The user of this store has to be an
administrator to Cinder then, or Cinder shows it no such volume. Whoever may create volumes in such a
project decides what this store takes for an image: name projects of services only.
"""),
    cfg.StrOpt(
        'root_helper', default='sudo glance-rootwrap /etc/multistore-hooks/rootwrap.conf',
        help="""
The command that os-brick's helper is started with as root, and that hands a device over to Glance's
user (``chown --no-dereference UID /dev/NAME``) where it cannot be opened otherwise.

Empty: nothing is run as root. This is right for Ceph RBD, which is reached in user space, and where
Glance itself runs as root.

Related options: ``privsep_config``; ``[privsep_osbrick] helper_command``, which comes before both.
"""),
    cfg.StrOpt(
        'privsep_config', default='/etc/multistore-hooks/privsep.conf',
        help="""
The only configuration file that os-brick's helper reads, which runs as root.

The helper is started as ``ROOT_HELPER SCRIPTS/privsep-helper --config-file FILE``, where SCRIPTS is the
folder with the scripts of the Python that Glance runs with. One process has one such helper: of several
stores with different settings the first one's are used.
"""),
    cfg.StrOpt(
        'my_ip',
        help="""
The address of this host in the storage network, to which Cinder's backend gives access.

Unset: the address that the host's name resolves to, else that of the default route.
"""),
    cfg.StrOpt(
        'attach_host',
        help="""
The name under which volumes are attached to this host. Unset: the host's name.
"""),
    cfg.BoolOpt(
        'use_multipath', default=False,
        help="""
Attach volumes over several paths. Needs multipathd.
"""),
    cfg.BoolOpt(
        'enforce_multipath', default=False,
        help="""
Fail to attach, rather than fall back to a single path, where multipathd does not run.

Related options: ``use_multipath``.
"""),
    cfg.IntOpt(
        'device_scan_attempts', default=3, min=1,
        help="""
How often os-brick looks for a device before it gives up.
"""),
    cfg.StrOpt(
        'mount_point_base', default='/var/lib/glance/mnt',
        help="""
The folder below which os-brick mounts the shares of NFS and the like.
"""),
    cfg.StrOpt(
        'attachment_dir', default='/var/lib/glance/attachments',
        help="""
The folder in which the processes of this host record which volumes are attached to it.

By these records they share attachments, and detach what a process that was killed has left attached. The
path is absolute. The folder must be on a local file system, be the same for all processes of this host
(containers included) that use this store, and outlive them. It must be writable only for Glance: the
records contain the connection information (possibly credentials) of attached volumes.
"""),
    cfg.IntOpt(
        'attachment_idle_timeout', default=5, min=0,
        help="""
How long, in seconds, an image stays attached after its last reader, for the next one.

A hundred range requests in a row then cost one attachment. An image that is deleted meanwhile by
another process waits for that long. 0: it is detached at once.
"""),
    cfg.IntOpt(
        'state_timeout', default=300, min=1,
        help="""
How long, in seconds, to wait for Cinder to create, extend or delete a volume, and for another
process or host that has a volume attached which cannot be attached twice.
"""),
    cfg.IntOpt(
        'attach_timeout', default=180, min=1,
        help="""
How long, in seconds, one call of os-brick (connect, disconnect, extend) may take, and one request to
Cinder during which its backend attaches or detaches a volume.
"""),
    cfg.IntOpt(
        'io_timeout', default=300, min=1,
        help="""
How long, in seconds, one read, write or flush of a volume may take.

What hangs longer fails the upload or the download. The volume stays attached, and its id is logged,
until the device responds: only then is it safe to take it away.
"""),
    cfg.IntOpt(
        'request_retries', default=3, min=0,
        help="""
How often a request to Cinder that may be repeated safely is repeated after a connection error or a
status of 500 to 504.
"""),
    cfg.StrOpt(
        'zeroed_volumes', default=AUTO, choices=[AUTO, ALWAYS, NEVER],
        help="""
Whether a new volume reads as zeros, so that zeros need not be sent to it.

Possible values:

* ``auto``: a new RBD image and a new file of a share do. A block device is not trusted: it is requested
  to zero the ranges itself (fallocate), which thin devices do without a transfer, and zeros are written
  where it cannot. So is the rest of the volume behind the image.
* ``always``: all volumes of this type do. Only for a backend that guarantees it, or an image shows what
  was stored on the backend before.
* ``never``: every byte of an image is written, whatever it is, and zeros to the rest of a block device.
"""),
    cfg.StrOpt(
        'extend_attached', default=AUTO, choices=[AUTO, ALWAYS, NEVER],
        help="""
Whether a volume is extended while it is attached, when an image of unknown size outgrows it.

Possible values:

* ``auto``: only an RBD image in user space, which shows its new size by itself.
* ``always``: any volume that is not a file of a share. Where Cinder refuses it, or this host does not see the
  new size, the volume is detached and attached again all the same. Some backends of Cinder accept the request
  and then fail, with which the upload fails: try it before.
* ``never``: the volume is detached, extended and attached again.
"""),
    cfg.BoolOpt(
        'verify_uploads', default=False,
        help="""
Read every image back from the volume after it was written, and fail the upload if it differs.
"""),
]


def session_opts() -> List[Any]:
    """Return keystoneauth's options for the session, with a default for its timeout."""
    found: List[Any] = copy.deepcopy(loading.get_session_conf_options())
    for option in found:
        if option.dest == 'timeout':
            option.default = REQUEST_TIMEOUT
    return found


def adapter_opts() -> List[Any]:
    """Return keystoneauth's options for the endpoint; the service type is Cinder's."""
    found: List[Any] = copy.deepcopy(loading.get_adapter_conf_options(include_deprecated=False))
    for option in found:
        if option.dest == 'service_type':
            option.default = SERVICE_TYPE
    return found


def register_credentials(conf: cfg.ConfigOpts, group: str) -> None:
    """Register keystoneauth's options in a store's section."""
    loading.register_auth_conf_options(conf, group)
    conf.register_opts(session_opts(), group=group)
    conf.register_opts(adapter_opts(), group=group)


def value(conf: cfg.ConfigOpts, group: str, name: str) -> Any:
    """Return an option: of the store's section, else of the shared one, else its default."""
    if SHARED_GROUP in conf and name in conf[SHARED_GROUP] and not _is_set(conf, group, name) and _is_set(
            conf, SHARED_GROUP, name):
        group = SHARED_GROUP
    return conf[group][name]


def _is_set(conf: cfg.ConfigOpts, group: str, name: str) -> bool:
    found: Optional[Any] = conf.get_location(name, group)
    return found is not None and found.location not in (cfg.Locations.opt_default,
                                                        cfg.Locations.set_default)


def list_opts() -> List[Tuple[str, List[Any]]]:
    """Return all options of a store, under the name of its driver, for oslo.config's generator.

    In glance-api.conf they stand in the section with the store's own name.
    """
    credentials: List[Any] = (loading.get_auth_common_conf_options()
                              + loading.get_auth_plugin_conf_options('password'))
    return [('volume', copy.deepcopy(OPTS) + session_opts() + adapter_opts() + credentials)]
