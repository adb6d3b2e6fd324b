# SPDX-License-Identifier: Apache-2.0
"""Which filters a request to Glance goes through, by its paste file. Pure but for reading the file."""

import configparser
from typing import Dict
from typing import List
from typing import Optional
from typing import Tuple

FILTER = 'multistore_hooks.glance.base_image_filter:filter_factory'
_EGGS = ('egg:multistore-hooks#base_image', 'egg:multistore_hooks#base_image')

Sections = Dict[str, Dict[str, str]]


class Unreadable(Exception):
    """The paste file is not there, or no ini file. One line."""


def read(path: str) -> Sections:
    """Return the sections of a paste file.

    :raises Unreadable: as it says
    """
    # %(here)s and its like are paste's own, and two sections of a name are no error to it.
    parser = configparser.RawConfigParser(strict=False)
    # Paste distinguishes capitals. To replace this method is configparser's own way; mypy knows none.
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        with open(path, encoding='utf-8') as stream:
            parser.read_file(stream)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise Unreadable('%s cannot be read as a paste file: %s' % (
            path, ' '.join(str(error).split()).rstrip('.'))) from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


def pipelines(sections: Sections, flavor: Optional[str]) -> List[Tuple[str, ...]]:
    """Return the filters of every way through glance-api of this flavor, in their order.

    Empty where the file has no such application.
    """
    name = 'glance-api' + ('-' + flavor if flavor else '')
    found: List[Tuple[str, ...]] = []
    for way in _ways(sections, name, flavor or 'default', 20):
        if way and way not in found:
            found.append(way)
    return found


def _ways(sections: Sections, name: str, flavor: str, depth: int) -> List[Tuple[str, ...]]:
    if depth <= 0:
        return []
    pipeline = sections.get('pipeline:' + name)
    composite = sections.get('composite:' + name, sections.get('composit:' + name))
    after = sections.get('filter-app:' + name)
    if pipeline is not None:
        return _pipeline(sections, pipeline.get('pipeline', ''), flavor, depth)
    if after is not None:
        return [(name,) + way for way in _ways(sections, after.get('next', ''), flavor, depth - 1)]
    if composite is None:
        return [()]
    if 'pipeline_factory' in composite.get('paste.composite_factory', ''):
        return _pipeline(sections, composite.get(flavor, ''), flavor, depth)
    found = []
    for key, value in composite.items():
        if key.startswith('/'):
            found += _ways(sections, value, flavor, depth - 1)
    return found


def _pipeline(sections: Sections, value: str, flavor: str, depth: int) -> List[Tuple[str, ...]]:
    names = value.split()
    if not names:
        return []
    return [tuple(names[:-1]) + way for way in _ways(sections, names[-1], flavor, depth - 1)]


def is_ours(sections: Sections, name: str) -> bool:
    """Return whether a filter of this name is the one of this library."""
    section = _filter(sections, name)
    return section.get('paste.filter_factory', '').strip() == FILTER or section.get(
        'use', '').strip() in _EGGS


def is_context(sections: Sections, name: str) -> bool:
    """Return whether a filter of this name is the one that makes Glance's context."""
    factory = _filter(sections, name).get('paste.filter_factory', '')
    return 'glance.api.middleware.context' in factory


def _filter(sections: Sections, name: str) -> Dict[str, str]:
    return sections.get('filter:' + name, sections.get('filter-app:' + name, {}))


def names_of_ours(sections: Sections) -> List[str]:
    """Return the names under which the file defines the filter of this library."""
    names = [section.partition(':')[2] for section in sections if section.startswith('filter')]
    return [name for name in names if is_ours(sections, name)]
