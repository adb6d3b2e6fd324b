# SPDX-License-Identifier: Apache-2.0
"""The text of a configuration file, as oslo.config and PasteDeploy read it."""

import typing

#: {section: {option: value}}; a list is an option that is given several times.
Sections = typing.Dict[str, typing.Dict[str, typing.Any]]


def render(sections: typing.Mapping[str, typing.Mapping[str, typing.Any]]) -> str:
    """Return the text of a file."""
    lines = []
    for section, options in sections.items():
        lines.append('[%s]' % section)
        for name, value in options.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            lines += ['%s = %s' % (name, _text(one)) for one in values]
        lines.append('')
    return '\n'.join(lines)


def write(path: str, sections: typing.Mapping[str, typing.Mapping[str, typing.Any]]) -> str:
    """Write a file, and return its path."""
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(render(sections))
    return path


def merged(*several: typing.Mapping[str, typing.Mapping[str, typing.Any]]) -> Sections:
    """Return configurations laid over each other; the later ones win, option by option."""
    result: Sections = {}
    for sections in several:
        for name, options in sections.items():
            result[name] = {**result.get(name, {}), **options}
    return result


def _text(value: typing.Any) -> str:
    # oslo.config would expand $name; these values are meant as they are.
    return str(value).lower() if isinstance(value, bool) else str(value).replace('$', '$$')
