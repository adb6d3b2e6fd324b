# SPDX-License-Identifier: Apache-2.0
"""Bring the importable Cinder up in this process, as its own start-up programs do.

:func:`prepare` must run before anything else imports Cinder: its volume program
switches eventlet on, and reads the configuration from the command line.
"""
import contextlib
import fcntl
import os
import shutil
import typing

from lab import compat


def prepare(conf_file: str) -> typing.Any:
    """Import Cinder, read ``conf_file`` and start logging, locks and the transport.

    :returns: oslo.config's CONF
    """
    compat.restore_removed_names()
    from cinder.cmd import volume  # noqa: F401  (first: it switches eventlet on)
    from cinder.common import config
    from cinder import coordination
    from cinder import objects
    from cinder import privsep
    from cinder import rpc
    from cinder import version
    import os_brick
    from oslo_config import cfg
    from oslo_log import log
    objects.register_all()
    cfg.CONF(['--config-file', conf_file], project='cinder', version=version.version_string())
    config.set_middleware_defaults()
    log.setup(cfg.CONF, 'cinder')
    if hasattr(os_brick, 'setup'):  # os-brick >= 5.0
        os_brick.setup(cfg.CONF)
    # A lab's files are its user's own: what Cinder hands to its privileged daemon runs here.
    privsep.sys_admin_pctxt.set_client_mode(False)
    coordination.COORDINATOR.start()
    rpc.init(cfg.CONF)
    return cfg.CONF


def sync_database(state_dir: str, cache_dir: typing.Optional[str] = None) -> None:
    """Put a database with Cinder's own migrations applied where the configuration wants it.

    The migrated file is kept per release in ``cache_dir`` (default: ``state_dir``)
    and copied, because the migrations of an old release take seconds.
    """
    from cinder import version
    cache_dir = cache_dir or state_dir
    os.makedirs(cache_dir, exist_ok=True)
    kept = os.path.join(cache_dir, 'cinder-%s.sqlite' % version.version_string())
    used = os.path.join(state_dir, 'cinder.sqlite')
    with _locked(kept + '.lock'):
        if not os.path.exists(kept):
            _migrate(used)
            shutil.copyfile(used, kept + '.new')
            os.rename(kept + '.new', kept)
        else:
            shutil.copyfile(kept, used)


def _migrate(path: str) -> None:
    from cinder.db import migration
    if os.path.exists(path):
        os.unlink(path)
    migration.db_sync()


@contextlib.contextmanager
def _locked(path: str) -> typing.Iterator[None]:
    with open(path, 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
