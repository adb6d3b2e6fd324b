# SPDX-License-Identifier: Apache-2.0
"""Which images a rule is about. Pure."""

import fnmatch
import re
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks.stores import inventory
from multistore_hooks.stores import rules

Usage = Mapping[str, float]
Test = Callable[[inventory.Subject], bool]


def select(rule: rules.Rule, subjects: Sequence[inventory.Subject], usage: Usage,
           now: float) -> List[inventory.Subject]:
    """Return the images that a rule is about, in their order.

    :param usage: when each image was used last, in seconds since 1970, or inventory.IN_USE; one that is
        not among them may have been used just now, for all that is known, and is never "unused"
    :param now: seconds since 1970
    """
    wanted = _test(rule.match, usage, now)
    found = [subject for subject in subjects if wanted(subject)]
    if rule.excluded is not None:
        unwanted = _test(rule.excluded, usage, now)
        found = [subject for subject in found if not unwanted(subject)]
    if rule.newest is None and rule.all_but_newest is None:
        return found
    newest = _newest(rule, found)
    return [subject for subject in found if (subject.id in newest) == (rule.newest is not None)]


def _newest(rule: rules.Rule, found: Sequence[inventory.Subject]) -> Dict[str, bool]:
    """Return the ids of the newest images of each family; only active ones count."""
    count = rule.newest or rule.all_but_newest or 0
    families: Dict[str, List[inventory.Subject]] = {}
    for subject in found:
        if subject.status == 'active':
            families.setdefault(family_of(subject, rule.family), []).append(subject)
    newest: Dict[str, bool] = {}
    for members in families.values():
        members.sort(key=lambda subject: (-subject.created, subject.id))
        newest.update((subject.id, True) for subject in members[:count])
    return newest


def family_of(subject: inventory.Subject, family: Optional[rules.Family]) -> str:
    """Return the family of an image: all are one family unless the rule says otherwise."""
    if family is None:
        return ''
    if family.property:
        return subject.properties.get(family.property, '')
    match = re.search(family.name, subject.name)
    if match is None:
        return ''
    return (match.group(1) if match.groups() else match.group(0)) or ''


def last_used(subject: inventory.Subject, usage: Usage) -> Optional[float]:
    """Return when an image was used last, or None if that is not known; its making counts as use."""
    used = usage.get(subject.id)
    return None if used is None else max(used, subject.created)


def _test(match: rules.Match, usage: Usage, now: float) -> Test:
    """Return the function that tests one image; what a match does not say costs nothing."""
    tests: List[Test] = []
    for patterns, value in (
            (match.names, lambda subject: subject.name), (match.ids, lambda subject: subject.id),
            (match.owners, lambda subject: subject.owner), (match.formats, lambda subject: subject.format),
            (match.visibilities, lambda subject: subject.visibility),
            (match.kinds, lambda subject: subject.kind)):
        if patterns:
            tests.append(_matching(_pattern(patterns), value))
    if match.tags:
        tags = _pattern(match.tags)
        tests.append(lambda subject: any(tags(tag) for tag in subject.tags))
    if match.hidden is not None:
        tests.append(lambda subject: subject.hidden == match.hidden)
    if match.protected is not None:
        tests.append(lambda subject: subject.protected == match.protected)
    for key, patterns in match.properties:
        tests.append(_with_property(key, _pattern(patterns)))
    if match.stored_in:
        stores = set(match.stored_in)
        tests.append(lambda subject: not stores.isdisjoint(subject.stores))
    return tests_of_numbers(match, usage, now, tests)


def tests_of_numbers(match: rules.Match, usage: Usage, now: float, tests: List[Test]) -> Test:
    """Return one function for all tests, with those of times and sizes added."""
    if match.older_than is not None:
        before = now - match.older_than
        tests.append(lambda subject: 0 < subject.created < before)
    if match.newer_than is not None:
        after = now - match.newer_than
        tests.append(lambda subject: subject.created >= after)
    if match.unused_for is not None:
        since = now - match.unused_for

        def unused(subject: inventory.Subject) -> bool:
            used = last_used(subject, usage)
            return used is not None and used < since

        tests.append(unused)
    if match.larger_than is not None:
        lower = match.larger_than
        tests.append(lambda subject: subject.size > lower)
    if match.smaller_than is not None:
        upper = match.smaller_than
        tests.append(lambda subject: subject.size < upper)
    return lambda subject: all(test(subject) for test in tests)


def _matching(pattern: Callable[[str], bool], value: Callable[[inventory.Subject], str]) -> Test:
    return lambda subject: pattern(value(subject))


def _with_property(key: str, pattern: Callable[[str], bool]) -> Test:
    return lambda subject: key in subject.properties and pattern(subject.properties[key])


def _pattern(patterns: Tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that returns whether a text is one of the patterns, with regard to case."""
    compiled = re.compile('|'.join(fnmatch.translate(pattern) for pattern in patterns))
    return lambda text: compiled.match(text) is not None
