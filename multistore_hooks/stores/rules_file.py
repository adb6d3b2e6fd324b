# SPDX-License-Identifier: Apache-2.0
"""Reads a file of rules: YAML, with the line of each key, held against the schema that is shipped."""

import json
import os
from typing import Any
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Tuple

import yaml

from multistore_hooks import exceptions
from multistore_hooks.i18n import _

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'rules_schema.json')

#: Where something is in a file: the keys and numbers that lead there.
Path = Tuple[Any, ...]


class RulesError(exceptions.MultistoreError):
    """A file of rules is not what it has to be; nothing was done."""

    msg_fmt = _('%(place)s: %(why)s.')


class RulesFileError(exceptions.MultistoreError):
    """A file of rules cannot be read."""

    msg_fmt = _("The file of rules '%(file)s' cannot be read: %(why)s.")


class NoJsonSchema(exceptions.MultistoreError):
    """The extra ``stores`` is not installed."""

    msg_fmt = _("Rules need the Python package jsonschema, which is missing (%(why)s): install the extra "
                "'stores' of multistore-hooks.")


class Document(NamedTuple):
    """What a file says, and the line of each key and list entry in it."""

    file: str
    content: Any
    lines: Mapping[Path, int]

    def error(self, path: Path, why: str) -> RulesError:
        """Return (not raise) the error for a key of the file."""
        at = path
        while at and at not in self.lines:
            at = at[:-1]
        place = '%s line %d' % (self.file, self.lines.get(at, 1))
        shown = show_path(path)
        return RulesError(place='%s, %s' % (place, shown) if shown else place, why=why.rstrip('.'))


def show_path(path: Path) -> str:
    """Return where something is, in words: ``rules[2] -> match -> kind``."""
    text = ''
    for step in path:
        text += '[%d]' % (step + 1) if isinstance(step, int) else (' -> ' if text else '') + str(step)
    return text


def read(path: str) -> Document:
    """Return what a file of rules says; it is what the schema demands.

    :raises RulesFileError: there is no such file, or it is no text
    :raises RulesError: it is no YAML, or not what the schema demands; names the line and the key
    :raises NoJsonSchema: jsonschema is not installed
    """
    try:
        with open(path, encoding='utf-8') as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise RulesFileError(file=path, why=getattr(error, 'strerror', None) or error)
    document = parse(text, path)
    validate(document)
    return document


def parse(text: str, file: str) -> Document:
    """Return YAML text as a document.

    :raises RulesError: it is no YAML, or has a key twice
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        reader = _Reader(loader, file)
        content = None if node is None else reader.content(node, (), ())
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None) or getattr(error, 'context_mark', None)
        place = '%s line %d' % (file, mark.line + 1) if mark else file
        raise RulesError(place=place, why='this is no YAML: %s' % ' '.join(
            str(getattr(error, 'problem', None) or error).split()))
    finally:
        loader.dispose()
    return Document(file, content, reader.lines if node is not None else {})


class _Reader:
    """Makes Python values of YAML's nodes, and keeps their lines."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader, self._file = loader, file
        self.lines: Dict[Path, int] = {}

    def content(self, node: Any, path: Path, within: Tuple[int, ...]) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in within:
            raise self._error(node, 'an alias names what it is part of')
        within += (id(node),)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, within)
        if isinstance(node, yaml.SequenceNode):
            return [self.content(entry, path + (number,), within) for number, entry in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: Any, path: Path, within: Tuple[int, ...]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, 'a key has to be text')
            key = str(key_node.value)
            if key in found:
                raise self._error(key_node, "the key '%s' is there twice" % key)
            self.lines[path + (key,)] = key_node.start_mark.line + 1
            found[key] = self.content(value_node, path + (key,), within)
        return found

    def _error(self, node: Any, why: str) -> RulesError:
        return RulesError(place='%s line %d' % (self._file, node.start_mark.line + 1), why=why)


def schema() -> Any:
    """Return the schema of a file of rules, for editors and other tools too."""
    with open(SCHEMA, encoding='utf-8') as stream:
        return json.load(stream)


def validate(document: Document) -> None:
    """Hold a document against the schema.

    :raises RulesError: it is not what the schema demands; the first such place in the file
    :raises NoJsonSchema: jsonschema is not installed
    """
    try:
        import jsonschema
    except ImportError as error:
        raise NoJsonSchema(why=error)
    validator = jsonschema.Draft7Validator(schema())
    found: List[Tuple[int, RulesError]] = []
    for fault in validator.iter_errors(document.content):
        path, why = _explain(fault)
        found.append((_line(document, path), document.error(path, why)))
    if found:
        raise min(found, key=lambda entry: entry[0])[1]


def _line(document: Document, path: Path) -> int:
    return next((document.lines[path[:end]] for end in range(len(path), -1, -1)
                 if path[:end] in document.lines), 0)


def _explain(error: Any) -> Tuple[Path, str]:
    """Return where the error is, and what is wrong in words."""
    path = tuple(error.absolute_path)
    if error.validator == 'additionalProperties':
        known = sorted(error.schema.get('properties', {}))
        extra = next(key for key in error.instance if key not in known)
        return path + (extra,), 'there is no such key; the keys here are: %s' % ', '.join(known)
    if error.validator == 'anyOf' and error.validator_value[0].get('required'):
        return path, "a rule needs one of the keys 'in', 'at least' and 'only'"
    if error.validator == 'anyOf':
        inner = sorted((one for one in error.context if one.validator == 'enum'),
                       key=lambda one: len(one.absolute_path))
        return _explain(inner[-1]) if inner else (path, str(error.message))
    if error.validator == 'dependencies':
        return path, "'of' needs 'at least' beside it"
    if error.validator == 'required':
        return path, 'a key is missing: %s' % ', '.join(
            key for key in error.validator_value if key not in error.instance)
    if error.validator == 'type':
        wanted = error.validator_value
        names = ' or '.join([wanted] if isinstance(wanted, str) else wanted)
        return path, '%s is wrong here; it has to be: %s' % (_short(error.instance), names)
    if error.validator == 'enum':
        return path, '%s is wrong here; it has to be one of: %s' % (
            _short(error.instance), ', '.join(error.validator_value))
    return path, str(error.message)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + '...'
