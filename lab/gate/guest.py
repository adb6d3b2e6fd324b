# SPDX-License-Identifier: Apache-2.0
"""The disk that the servers boot from, and what can be read off it afterwards.

There is no operating system on it: the boot sector reads the next sector, counts this boot in it,
writes it back, and says on the serial console what it wrote. So a boot costs next to nothing, and a
snapshot differs from any other: the first boot leaves the processor's clock, which no two have
the same.
"""

import os
import re
import struct
import subprocess
import typing

SECTOR = 512
MARK = b'GATE'

# GNU as, 16 bits, for 0x7c00: read sector 2 to 0x8000 (int 0x13); incl 0x8008 (the boots); unless
# 0x8000 has the mark, put it there, and the clock (rdtsc) to 0x8004; write the sector; say all of
# it on COM1 (0x3f8); hlt.
_CODE = bytes.fromhex(
    'fa31c08ed88ec08ed0bc007cfbfc8816b17cb80102e85300724c66ff06088066813e008047415445'
    '740f66c7060080474154450f3166a30480b80103e82c007225beb27ce84e00668b160480e82b00be'
    'be7ce84000668b160880e81d00bec57ce83200f4ebfdbecc7cebf5bb0080b9020030f68a16b17ccd'
    '13c3b9080066c1c20488d0240f3c0a72020427043052e80f005ae2e9c3ac84c07405e80300ebf6c3'
    '88c3bafd03eca82074fbbaf80388d8eec300474154452d57524f5445200020424f4f54200020454e'
    '440d0a00474154452d4449534b2d4641494c45440d0a00')
# Glance takes no image whose boot sector has no partition: one, from sector 2048 on.
_PARTITION = struct.pack('<8BII', 0x80, 0x20, 0x21, 0, 0x83, 0xff, 0xff, 0xff, 2048, 4096)
_SAID = re.compile(r'GATE-WROTE ([0-9a-f]{8}) BOOT ([0-9a-f]{8}) END')


class Written(typing.NamedTuple):
    """What a guest wrote: the clock at its first boot, and how often it has booted."""

    clock: int
    boots: int


def make_image(path: str, size: int) -> None:
    """Write a raw disk of so many bytes; from the third sector on they are random."""
    sector = _CODE.ljust(446, b'\0') + _PARTITION.ljust(64, b'\0') + b'\x55\xaa'
    with open(path, 'wb') as stream:
        stream.write(sector + bytes(SECTOR))
        left = size - stream.tell()
        while left:
            left -= stream.write(os.urandom(min(left, 1 << 24)))


def make_qcow2(raw: str, path: str) -> None:
    """Write the same disk as qcow2, which cannot be cloned on RBD."""
    subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, path], check=True)


def written(disk: bytes) -> typing.Optional[Written]:
    """Return what the guest wrote on a raw disk, from its first bytes; None: it never booted."""
    sector = disk[SECTOR:2 * SECTOR]
    if not sector.startswith(MARK):
        return None
    return Written(*struct.unpack_from('<II', sector, len(MARK)))


def said(console: str) -> typing.Optional[Written]:
    """Return what the guest said last on its console that it had written."""
    found = _SAID.findall(console)
    return Written(int(found[-1][0], 16), int(found[-1][1], 16)) if found else None


def same_but_for_guest(disk: bytes, raw: str) -> bool:
    """Return whether a disk begins with the image it was made from, the guest's own sector aside."""
    with open(raw, 'rb') as stream:
        first = stream.read(SECTOR)
        stream.seek(2 * SECTOR)
        rest = stream.read()
    return (disk[:SECTOR] == first
            and disk[2 * SECTOR:2 * SECTOR + len(rest)] == rest)
