# SPDX-License-Identifier: Apache-2.0
"""Upstream's own tests, run on our classes: their modules are read with some imports rebound.

Upstream's tests name the class under test by its module (``libvirt_driver.LibvirtDriver``), and offer
no factory to override. So the test module's source is compiled with an import of that module turned into
an import of a stand-in for it, in which that one class is ours. No file of upstream's is changed, and
no module or class of the service gets an attribute assigned.
"""

import ast
import importlib.abc
import importlib.machinery
import sys
import types
import typing

Rebinding = typing.Tuple[str, str]      # a module of ours, and the name of a stand-in in it


class StandIn:
    """A service's module as its tests see it: some of its classes are ours.

    What a test sets or mocks in it, it sets in the service's module.
    """

    def __init__(self, module: types.ModuleType, **ours: typing.Any) -> None:
        self.__dict__.update(ours, _module=module)

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: typing.Any) -> None:
        setattr(self._module, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._module, name)


class _Imports(ast.NodeTransformer):
    """Rebinds imports, and counts those it has rebound."""

    def __init__(self, standins: typing.Mapping[str, Rebinding]) -> None:
        self._standins = standins
        self.count = 0

    def visit_ImportFrom(self, node: ast.ImportFrom) -> typing.Any:
        names = [('%s.%s' % (node.module, alias.name), alias) for alias in node.names]
        if node.level or not any(path in self._standins for path, _alias in names):
            return node
        return [self._bound(path, alias.asname or alias.name, node)
                or ast.copy_location(ast.ImportFrom(node.module, [alias], 0), node)
                for path, alias in names]

    def visit_Import(self, node: ast.Import) -> typing.Any:
        # Without 'as' it binds the top package alone, which stays the service's own.
        return [(alias.asname and self._bound(alias.name, alias.asname, node))
                or ast.copy_location(ast.Import([alias]), node) for alias in node.names]

    def _bound(self, path: str, name: str, node: ast.stmt) -> typing.Optional[ast.stmt]:
        if path not in self._standins:
            return None
        self.count += 1
        module, standin = self._standins[path]
        return ast.copy_location(ast.ImportFrom(module, [ast.alias(standin, name)], 0), node)


class _Loader(importlib.machinery.SourceFileLoader):

    standins: typing.Mapping[str, Rebinding] = {}

    def get_code(self, fullname: str) -> types.CodeType:
        # Not from a cached file: that one is of the source as it is.
        path = self.get_filename(fullname)
        imports = _Imports(self.standins)
        tree = imports.visit(ast.parse(self.get_data(path), path))
        if not imports.count:
            raise ImportError('%s imports none of %s' % (path, ', '.join(self.standins)))
        return compile(ast.fix_missing_locations(tree), path, 'exec', dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the given test modules, to be loaded with the given imports rebound.

    :param modules: names of test modules.
    :param standins: {a service's module: which stand-in takes its place}.
    """

    def __init__(self, modules: typing.Iterable[str],
                 standins: typing.Mapping[str, Rebinding]) -> None:
        self._modules = frozenset(modules)
        self._loader = type('Loader', (_Loader,), {'standins': dict(standins)})

    def find_spec(self, fullname: str, path: typing.Any, target: typing.Any = None) -> typing.Any:
        if fullname not in self._modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin:
            spec.loader = self._loader(fullname, spec.origin)
        return spec

    def install(self) -> None:
        """Be asked first, for all imports of this process."""
        sys.meta_path.insert(0, self)
