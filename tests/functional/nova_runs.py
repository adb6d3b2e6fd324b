# SPDX-License-Identifier: Apache-2.0
"""Runs of the real Nova, with its stock driver or with the patched-in one, for the functional tests."""

import os
import sys

import unidiff

from lab.nova import compute_hosts
from lab.nova import tree
from tests.functional import shared

STOCK, OURS = 'libvirt.LibvirtDriver', 'multistore.LibvirtDriver'
TOKEN = 'u1:p1:member,reader'
PATCHES = os.path.join(os.path.dirname(__file__), '..', '..', 'patches', 'nova')
_roots = {}


def patched_files():
    """Return the files that the needed patch adds, as {path: text}."""
    with open(os.path.join(PATCHES, 'virt-multistore-driver.patch'), encoding='utf-8') as stream:
        text = stream.read().split('\n---\n', 1)[1]
    return {file.path: ''.join(line.value for hunk in file for line in hunk)
            for file in unidiff.PatchSet(text)}


def root(python=sys.executable, nova_dir=None):
    """Return a folder with a patched Nova: the environment's own stays as it is."""
    if (python, nova_dir) not in _roots:
        _roots[python, nova_dir] = tree.overlay(
            nova_dir or tree.locate(python), os.path.join(shared.folder('nova'), 'root'), patched_files())
    return _roots[python, nova_dir]


def compute(where, driver, *operations, **conf):
    """Run operations in a nova-compute of its own; return their results.

    :param where: the Glance.
    :param conf: sections of nova.conf, as {option: value}.
    """
    result = compute_hosts.run({
        'glance_url': where.url, 'token': TOKEN, 'compute_driver': driver, 'nova_root': root(),
        'operations': list(operations), 'conf': conf})
    return result['results']


def disk(data):
    """Return the path of a raw disk with this content, a multiple of 512 bytes."""
    path = os.path.join(shared.folder('disk'), 'disk.raw')
    with open(path, 'wb') as stream:
        stream.write(data)
    return path


def operation(kind, base_image, path):
    """Return a document's operation on an instance with this base image and this disk."""
    return {'operation': kind, 'image_ref': base_image, 'image_name': kind,
            'disk': {'format': 'raw', 'bytes_from': path}}
