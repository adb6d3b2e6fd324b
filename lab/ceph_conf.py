# SPDX-License-Identifier: Apache-2.0
"""The ceph.conf of a lab's cluster, and the ports it uses."""

import configparser
import contextlib
import pathlib
import random
import typing
import uuid

from lab import ports

# Below the range from which Linux takes the ports of outgoing connections.
FIRST_PORT, LAST_PORT, PORTS_OF_A_CLUSTER = 20000, 32000, 20

# Why some of it is as it is:
# - version 1 of the messenger, without cephx, fails a third of the first requests with "wrong
#   fsid": hence v2 only;
# - the timers of paxos and of the block device are for clusters of many nodes; with them as they
#   are shipped, a cluster takes 15 seconds to come up instead of 3;
# - run_dir and admin_socket are here, as a cluster's daemons would meet another's in /var/run.
CONF = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v2:127.0.0.1:{ports.monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_port_min = {ports.first}
ms_bind_port_max = {ports.last}
auth_cluster_required = {auth}
auth_service_required = {auth}
auth_client_required = {auth}
keyring = {directory}/keyring
run_dir = {directory}/run
admin_socket = {directory}/run/$name.asok
log_file = {directory}/log/$name.log
mon_cluster_log_file = {directory}/log/cluster.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_warn_on_pool_no_redundancy = false
[mon]
mon_data = {directory}/mon
mon_data_avail_warn = 2
mon_data_avail_crit = 1
auth_allow_insecure_global_id_reclaim = false
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mgr]
mgr_data = {directory}/mgr
[osd]
osd_data = {directory}/osd
osd_objectstore = bluestore
bluestore_block_size = {size}
bluestore_block_create = true
bdev_aio_poll_ms = 10
osd_memory_target = 939524096
[client]
admin_socket =
log_file =
"""


class Ports(typing.NamedTuple):
    """The monitor's port, and the range that the other daemons choose from."""

    monitor: int
    first: int
    last: int


def write(directory: pathlib.Path, auth: str, own: Ports, size: int) -> None:
    """Write ceph.conf, with a new fsid, into the cluster's directory."""
    (directory / 'ceph.conf').write_text(CONF.format(
        fsid=new_uuid(), directory=directory, auth=auth, ports=own, size=size))


def read_fsid(conf: str) -> str:
    """Return the cluster's id from its configuration file."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(conf)
    return parser['global']['fsid']


def free_ports() -> Ports:
    """Return a range of ports whose first two nothing listens on.

    A cluster keeps its ports while it is stopped, so that a client of it never reaches another.
    """
    starts = list(range(FIRST_PORT, LAST_PORT, PORTS_OF_A_CLUSTER))
    random.shuffle(starts)
    for start in starts:
        with contextlib.suppress(OSError), ports.listen(start), ports.listen(start + 1):
            return Ports(start, start + 1, start + PORTS_OF_A_CLUSTER - 1)
    raise OSError('no free ports between %d and %d' % (FIRST_PORT, LAST_PORT))


def new_uuid() -> str:
    """Return a new UUID as text."""
    return str(uuid.uuid4())
