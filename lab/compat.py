# SPDX-License-Identifier: Apache-2.0
"""Names that Python took away in 3.10 and 3.11 and that services of 2019 and 2020 still use.

For the lab only: an old release is run on a newer Python than its own, and its libraries need
these names when they are imported. Call ``restore_removed_names`` before the first such import.
It adds what is missing in the standard library, and does nothing where nothing is missing.
"""

import collections
import collections.abc
import inspect
import types
import typing

ArgSpec = collections.namedtuple('ArgSpec', 'args varargs keywords defaults')


def restore_removed_names() -> None:
    """Add the removed names of collections and inspect to this process."""
    for name in collections.abc.__all__:
        _add(collections, name, getattr(collections.abc, name))
    _add(inspect, 'getargspec', _getargspec)
    _add(inspect, 'formatargspec', _formatargspec)


def _add(module: types.ModuleType, name: str, value: typing.Any) -> None:
    if not hasattr(module, name):
        setattr(module, name, value)


def _getargspec(function: typing.Callable[..., typing.Any]) -> ArgSpec:
    """inspect.getargspec as it was: positional arguments, *, **, defaults."""
    found = inspect.getfullargspec(function)
    return ArgSpec(found.args, found.varargs, found.varkw, found.defaults)


def _formatargspec(args: typing.Sequence[str] = (), varargs: typing.Optional[str] = None,
                   varkw: typing.Optional[str] = None,
                   defaults: typing.Optional[typing.Sequence[typing.Any]] = None,
                   *_rest: typing.Any, **_options: typing.Any) -> str:
    """inspect.formatargspec for functions without keyword-only arguments."""
    plain = len(args) - len(defaults or ())
    words = list(args[:plain])
    words += ['%s=%r' % pair for pair in zip(args[plain:], defaults or ())]
    words += ['*' + varargs] if varargs else []
    words += ['**' + varkw] if varkw else []
    return '(%s)' % ', '.join(words)
