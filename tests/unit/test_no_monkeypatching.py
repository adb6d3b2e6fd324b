# SPDX-License-Identifier: Apache-2.0
"""Nothing of a service is changed at run time: no attribute of its modules or classes is assigned."""

import ast
import os

import testtools

import multistore_hooks

SERVICES = ('nova', 'cinder', 'glance', 'glance_store', 'glanceclient', 'os_brick', 'keystoneauth1',
            'rados', 'rbd')
PACKAGE = os.path.dirname(multistore_hooks.__file__)


def offences(source):
    """Return the lines of a module that assign, delete or set an attribute of what a service brings."""
    tree = ast.parse(source)
    foreign = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            foreign.update((alias.asname or alias.name).split('.')[0] for alias in node.names
                           if alias.name.split('.')[0] in SERVICES)
        elif isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] in SERVICES:
            foreign.update(alias.asname or alias.name for alias in node.names)
    for node in ast.walk(tree):  # a name that stands for something foreign
        if isinstance(node, ast.Assign) and _root(node.value) in foreign and not _calls(node.value):
            foreign.update(target.id for target in node.targets if isinstance(target, ast.Name))
    found = []
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, (ast.Assign, ast.Delete)):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        for target in [part for target in targets for part in ast.walk(target)]:
            if isinstance(target, (ast.Attribute, ast.Subscript)) and isinstance(
                    target.ctx, (ast.Store, ast.Del)) and _root(target.value) in foreign:
                found.append(node.lineno)
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'id', getattr(node.func, 'attr', ''))
            if name in ('setattr', 'delattr', '__setattr__') and node.args and (
                    _root(node.args[0]) in foreign or name == '__setattr__'):
                found.append(node.lineno)
            mocks = name == 'patch' and _root(node.func) in ('mock', 'patch')
            if mocks or name in ('reload', 'monkey_patch'):
                found.append(node.lineno)
        if isinstance(node, ast.Attribute) and node.attr == 'modules' and _root(node) == 'sys':
            found.append(node.lineno)
    return sorted(set(found))


def _root(node):
    """Return the name at the beginning of ``a.b[c].d``, or None."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _calls(node):
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


class NoMonkeypatchingTest(testtools.TestCase):

    def test_the_package_changes_nothing_of_a_service(self):
        found, seen = [], 0
        for folder, _folders, files in os.walk(PACKAGE):
            for name in files:
                if name.endswith('.py'):
                    path = os.path.join(folder, name)
                    with open(path, encoding='utf-8') as stream:
                        found += ['%s:%d' % (path, line) for line in offences(stream.read())]
                    seen += 1
        self.assertEqual([], found)
        self.assertTrue(seen > 20, seen)

    def test_every_way_of_doing_it_is_seen(self):
        for source in (
                'import nova.image.glance\nnova.image.glance.API = 1',
                'from nova.image import glance\nglance.GlanceClientWrapper.call = lambda: 1',
                'from cinder.volume import manager as m\nm.VolumeManager.x = 1',
                'from nova.virt.libvirt import imagebackend\nimagebackend.Backend.BACKEND["rbd"] = 1',
                'from nova.virt.libvirt.driver import LibvirtDriver\nLibvirtDriver.snapshot = 1',
                'from nova.virt.libvirt import imagebackend\nr = imagebackend.rbd_utils\nr.RBDDriver = 1',
                'import glance\nsetattr(glance.api, "x", 1)',
                'import glance\ndel glance.api',
                'import glance\nglance.x += 1',
                'import glance\n(glance.x, y) = 1, 2',
                'import sys\nsys.modules["nova"] = 1',
                'import importlib\nimport nova\nimportlib.reload(nova)',
                'from unittest import mock\nmock.patch("nova.x")'):
            self.assertNotEqual([], offences(source), source)

    def test_ordinary_code_is_left_alone(self):
        for source in (
                'from nova.virt.libvirt import driver\nclass D(driver.LibvirtDriver):\n'
                '    def __init__(self):\n        self._image_api = 1\n        self.backend.KINDS["rbd"] = 2',
                'from nova import context\nc = context.RequestContext()\nc.x = 1',
                'import nova\nx = nova.y'):
            self.assertEqual([], offences(source), source)
