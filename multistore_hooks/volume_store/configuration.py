# SPDX-License-Identifier: Apache-2.0
"""From the options of a store's section to what the store works with."""

import os
import socket
from typing import Any
from typing import Callable
from typing import Optional

from keystoneauth1 import loading

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import upload


def make_context(conf: Any, group: str, store: str, make_brick: Callable[[Any], Any],
                 open_device: Callable[[str, Any, bool], devices.Device]) -> store_context.StoreContext:
    """Return what a store works with. No request is sent.

    :param group: the store's section.
    :param make_brick: called with brick.Settings.
    :raises ImportError: os-brick is missing.
    :raises OSError: ``attachment_dir`` cannot be created or written to.
    :raises ValueError: an option is missing or wrong.
    :raises keystoneauth1.exceptions.ClientException: so are the credentials.
    """
    from multistore_hooks.volume_store import brick

    def option(name: str) -> Any:
        return options.value(conf, group, name)

    folder = option('attachment_dir')
    if not os.path.isabs(folder):
        raise ValueError("attachment_dir is '%s', which is not an absolute path" % folder)
    settings = brick.Settings(
        root_helper=option('root_helper'), host=option('attach_host') or socket.gethostname(),
        privsep_config=option('privsep_config'), my_ip=option('my_ip'),
        use_multipath=option('use_multipath'), enforce_multipath=option('enforce_multipath'),
        scan_attempts=option('device_scan_attempts'), mount_point_base=option('mount_point_base'),
        lock_folder=folder)
    return store_context.StoreContext(
        store=store, cinder=make_cinder(conf, group),
        brick=make_brick(settings), open_device=open_device,
        journal=journal.AttachmentJournal(os.path.join(folder, store)), recover=leftovers.recover,
        timeouts=store_context.Timeouts(
            state=option('state_timeout'), attach=option('attach_timeout'), io=option('io_timeout'),
            idle=option('attachment_idle_timeout')))


def make_cinder(conf: Any, group: str, check_seconds: Optional[float] = None) -> cinder_client.Cinder:
    """Return a Cinder with a session of its own.

    :param check_seconds: for a short check: the limit of each request, of which none is repeated.
    :raises ValueError: there are no credentials.
    :raises keystoneauth1.exceptions.ClientException: they are wrong.
    """
    options.register_credentials(conf, group)
    auth = loading.load_auth_from_conf_options(conf, group)
    if auth is None:
        raise ValueError("auth_type is not set: the store needs credentials of its own, in keystoneauth's "
                         'options')
    session = loading.load_session_from_conf_options(conf, group, auth=auth)
    adapter = loading.load_adapter_from_conf_options(conf, group, session=session, auth=auth)
    if check_seconds is not None:
        session.timeout = check_seconds
        return cinder_client.Cinder(adapter, retries=0)
    return cinder_client.Cinder(adapter, options.value(conf, group, 'request_retries'), max(
        options.value(conf, group, 'attach_timeout'), session.timeout or 0))


def upload_options(conf: Any, group: str) -> upload.UploadOptions:
    """Return the options that only an upload needs."""
    return upload.UploadOptions(
        volume_type=options.value(conf, group, 'volume_type'),
        zeroed_volumes=options.value(conf, group, 'zeroed_volumes'),
        extend_attached=options.value(conf, group, 'extend_attached'),
        verify=options.value(conf, group, 'verify_uploads'))
