# SPDX-License-Identifier: Apache-2.0
"""The rules language: which images should be where. What a file means, before any image is known."""

import fnmatch
import re
from typing import Any
from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from multistore_hooks.glance_api import api
from multistore_hooks.stores import rules_file
from multistore_hooks.stores import units

ALL = 'all'


class Match(NamedTuple):
    """What an image has to be for a rule; each that is given has to hold."""

    names: Tuple[str, ...] = ()
    ids: Tuple[str, ...] = ()
    owners: Tuple[str, ...] = ()
    tags: Tuple[str, ...] = ()
    formats: Tuple[str, ...] = ()
    visibilities: Tuple[str, ...] = ()
    kinds: Tuple[str, ...] = ()
    hidden: Optional[bool] = None
    protected: Optional[bool] = None
    #: (key, patterns of the value).
    properties: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()
    #: Seconds.
    older_than: Optional[int] = None
    newer_than: Optional[int] = None
    unused_for: Optional[int] = None
    #: Bytes.
    larger_than: Optional[int] = None
    smaller_than: Optional[int] = None
    stored_in: Tuple[str, ...] = ()


class Family(NamedTuple):
    """How images are put into families, of which the newest count: by a property, or a part of the name."""

    property: str = ''
    #: A regular expression; its first group, or all that it matches, is the family.
    name: str = ''


class Rule(NamedTuple):
    """One rule, with the stores that its words stand for."""

    name: str
    #: File and line, for errors.
    place: str
    match: Match
    excluded: Optional[Match]
    newest: Optional[int]
    all_but_newest: Optional[int]
    family: Optional[Family]
    #: In each of these.
    stores: Tuple[str, ...]
    #: In so many of ``of``; 0: not said.
    at_least: int
    of: Tuple[str, ...]
    #: Nowhere else than here; None: not said.
    only: Optional[Tuple[str, ...]]


class Rules(NamedTuple):
    """All that a file says."""

    rules: Tuple[Rule, ...]
    #: What has to stay free, as (share, bytes), and the size where it cannot be read, by store.
    reserve: Mapping[str, Tuple[float, int]]
    capacity: Mapping[str, int]

    @property
    def needs_usage(self) -> bool:
        """Whether it matters to any rule when an image was used last."""
        return any(match is not None and match.unused_for is not None
                   for rule in self.rules for match in (rule.match, rule.excluded))


def load(path: str, stores: api.Stores) -> Rules:
    """Read a file of rules.

    :param stores: what Glance offers
    :raises RulesFileError: it cannot be read
    :raises RulesError: it is wrong, names a store that Glance does not have or that takes no images, or
        two of its rules contradict one another whatever the images are
    """
    return _Meaning(rules_file.read(path), stores).rules()


class _Meaning:
    """Makes rules of a document that the schema has accepted."""

    def __init__(self, document: rules_file.Document, stores: api.Stores) -> None:
        self._document, self._stores = document, stores
        self._content: Dict[str, Any] = document.content
        self._groups: Dict[str, Tuple[str, ...]] = {}

    def rules(self) -> Rules:
        for name, members in self._content.get('groups', {}).items():
            path = ('groups', name)
            if name == ALL or name in self._stores.ids:
                raise self._document.error(path, 'this is the name of %s already' % (
                    'all stores' if name == ALL else 'a store'))
            self._groups[name] = self._resolve(members, path, writable=False)
        reserve: Dict[str, Tuple[float, int]] = {}
        for words, text in self._content.get('reserve', {}).items():
            share = self._value(units.share_of, text, ('reserve', words))
            for store in self._resolve(words, ('reserve', words), writable=False):
                reserve[store] = share
        capacity: Dict[str, int] = {}
        for words, text in self._content.get('capacity', {}).items():
            size = self._value(units.bytes_of, text, ('capacity', words))
            for store in self._resolve(words, ('capacity', words), writable=False):
                capacity[store] = size
        rules = tuple(self._rule(number, entry) for number, entry in enumerate(self._content['rules']))
        self._check_names(rules)
        return Rules(rules, reserve, capacity)

    def _rule(self, number: int, entry: Mapping[str, Any]) -> Rule:
        path: rules_file.Path = ('rules', number)
        at_least = entry.get('at least', 0)
        of: Tuple[str, ...] = ()
        if at_least:
            of = (self._resolve(entry['of'], path + ('of',)) if 'of' in entry else self._writable())
            if at_least > len(of):
                raise self._document.error(path + ('at least',), 'there are only %d such stores: %s' % (
                    len(of), ', '.join(of)))
        for key in ('newest', 'all but newest'):
            if 'family' in entry and 'newest' not in entry and 'all but newest' not in entry:
                raise self._document.error(path + ('family',), "this needs 'newest' or 'all but newest'")
        if 'newest' in entry and 'all but newest' in entry:
            raise self._document.error(path + ('all but newest',),
                                       "this contradicts 'newest' of the same rule")
        only = entry.get('only')
        rule = Rule(
            name=entry['name'],
            place='%s line %d' % (self._document.file, self._document.lines.get(path, 1)),
            match=self._match(entry.get('match', {}), path + ('match',)),
            excluded=self._match(entry['except'], path + ('except',)) if entry.get('except') else None,
            newest=entry.get('newest'), all_but_newest=entry.get('all but newest'),
            family=self._family(entry.get('family'), path + ('family',)),
            stores=self._resolve(entry['in'], path + ('in',)) if 'in' in entry else (),
            at_least=at_least, of=of,
            only=None if only is None else self._resolve(only, path + ('only',), writable=False))
        if rule.only is not None:
            outside = [store for store in rule.stores if store not in rule.only]
            if outside:
                raise self._document.error(path + ('in',), "'only' of the same rule rules out %s" % (
                    ', '.join(outside)))
            if at_least > len(set(of) & set(rule.only)):
                raise self._document.error(path + ('at least',),
                                           "'only' of the same rule leaves too few stores")
        return rule

    def _family(self, entry: Optional[Mapping[str, str]], path: rules_file.Path) -> Optional[Family]:
        if entry is None:
            return None
        if 'name' in entry:
            try:
                re.compile(entry['name'])
            except re.error as error:
                raise self._document.error(path + ('name',), 'this is no regular expression: %s' % error)
        return Family(entry.get('property', ''), entry.get('name', ''))

    def _match(self, entry: Mapping[str, Any], path: rules_file.Path) -> Match:
        def time(key: str) -> Optional[int]:
            return self._value(units.seconds_of, entry[key], path + (key,)) if key in entry else None

        def size(key: str) -> Optional[int]:
            return self._value(units.bytes_of, entry[key], path + (key,)) if key in entry else None

        return Match(
            names=_words(entry.get('name')), ids=_words(entry.get('id')), owners=_words(entry.get('owner')),
            tags=_words(entry.get('tag')), formats=_words(entry.get('format')),
            visibilities=_words(entry.get('visibility')), kinds=_words(entry.get('kind')),
            hidden=entry.get('hidden'), protected=entry.get('protected'),
            properties=tuple((key, _words(value)) for key, value in entry.get('property', {}).items()),
            older_than=time('older than'), newer_than=time('newer than'), unused_for=time('unused for'),
            larger_than=size('larger than'), smaller_than=size('smaller than'),
            stored_in=(self._resolve(entry['stored in'], path + ('stored in',), writable=False)
                       if 'stored in' in entry else ()))

    def _value(self, convert: Any, text: str, path: rules_file.Path) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            raise self._document.error(path, str(error))

    def _writable(self) -> Tuple[str, ...]:
        return tuple(store.id for store in self._stores.stores if not store.read_only)

    def _resolve(self, words: Any, path: rules_file.Path, writable: bool = True) -> Tuple[str, ...]:
        """Return the stores that ids, groups and patterns stand for, in Glance's order."""
        found: Set[str] = set()
        for word in _words(words):
            if word == ALL:
                found.update(self._writable() if writable else self._stores.ids)
            elif word in self._groups:
                found.update(self._groups[word])
            elif word in self._stores.ids:
                found.add(word)
            else:
                matching = fnmatch.filter(self._stores.ids, word) if _is_pattern(word) else []
                if not matching:
                    raise self._document.error(path, "Glance has no store '%s'; it has: %s" % (
                        word, ', '.join(self._stores.ids) or 'none'))
                found.update(matching)
        wrong = sorted(found - set(self._writable())) if writable else []
        if wrong:
            raise self._document.error(path, 'Glance takes no images into %s: read-only' % ', '.join(wrong))
        return tuple(store for store in self._stores.ids if store in found)

    def _check_names(self, rules: Iterable[Rule]) -> None:
        seen: Dict[str, Rule] = {}
        for number, rule in enumerate(rules):
            if rule.name in seen:
                raise self._document.error(('rules', number, 'name'), "another rule is named '%s' too: %s" % (
                    rule.name, seen[rule.name].place))
            seen[rule.name] = rule


def _is_pattern(word: str) -> bool:
    return any(character in word for character in '*?[')


def _words(value: Any) -> Tuple[str, ...]:
    """Return one word or a list of them as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
