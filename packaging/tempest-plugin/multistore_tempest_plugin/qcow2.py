# SPDX-License-Identifier: Apache-2.0
"""A raw disk as qcow2: the same bytes, in a format that Ceph cannot clone.

Version 3 of the format, as docs/interop/qcow2 of QEMU describes it, without compression or features. All
of the disk is allocated, and in its own order.
"""

import struct

CLUSTER = 1 << 16
#: What one table of a cluster has room for: tables of 8 bytes each, counts of 2.
ADDRESSES, COUNTS = CLUSTER // 8, CLUSTER // 2
SECTOR = 512
#: Of an address: nothing else refers to this cluster.
COPIED = 1 << 63
HEADER = struct.Struct('>4sIQIIQIIQQIIQQQQII')
VERSION, HEADER_BYTES, COUNT_ORDER = 3, 104, 4


def wrap(pieces, size):
    """Yield the qcow2 image of a disk.

    :param pieces: the disk's bytes, in pieces of any length
    :param size: how many bytes that are
    """
    data = _parts(size, CLUSTER)
    seconds = _parts(data, ADDRESSES)
    firsts = _parts(seconds, ADDRESSES)
    blocks = tables = 1
    while True:
        # Those of the counts count themselves, too.
        clusters = 1 + firsts + tables + blocks + seconds + data
        wanted = _parts(clusters, COUNTS)
        if (blocks, tables) == (wanted, _parts(wanted, ADDRESSES)):
            break
        blocks, tables = wanted, _parts(wanted, ADDRESSES)
    at_tables = 1 + firsts
    at_blocks = at_tables + tables
    at_seconds = at_blocks + blocks
    at_data = at_seconds + seconds
    yield _padded(HEADER.pack(
        b'QFI\xfb', VERSION, 0, 0, CLUSTER.bit_length() - 1, _parts(size, SECTOR) * SECTOR, 0, seconds,
        CLUSTER, at_tables * CLUSTER, tables, 0, 0, 0, 0, 0, COUNT_ORDER, HEADER_BYTES))
    yield _addresses(at_seconds, seconds, COPIED)
    yield _addresses(at_blocks, blocks, 0)
    yield _padded(b'\x00\x01' * clusters)
    for number in range(seconds):
        yield _addresses(at_data + number * ADDRESSES, min(ADDRESSES, data - number * ADDRESSES), COPIED)
    yield from pieces
    yield bytes(-size % CLUSTER)


def _addresses(first, count, flag):
    return _padded(struct.pack('>%dQ' % count, *(
        flag | number * CLUSTER for number in range(first, first + count))))


def _padded(table):
    return table + bytes(-len(table) % CLUSTER)


def _parts(whole, part):
    return -(-whole // part)
