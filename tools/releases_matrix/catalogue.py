# SPDX-License-Identifier: Apache-2.0
"""Every release there is to prove: its newest point release, and what it runs on here."""

import typing


class Release(typing.NamedTuple):
    """One series of one project.

    `environment` is one of tox.ini; `overlays` are packages that come before those in it;
    `special` says what is done for this release alone, and why.
    """

    project: str
    version: str
    environment: str
    overlays: typing.Tuple[str, ...] = ()
    special: str = ''

    @property
    def major(self) -> int:
        return int(self.version.split('.')[0])

    @property
    def name(self) -> str:
        return '%s-%d' % (self.project, self.major)

    @property
    def series(self) -> str:
        """OpenStack's name of the series."""
        return SERIES[self.major - FIRST[self.project]]


SERIES = ('Train', 'Ussuri', 'Victoria', 'Wallaby', 'Xena', 'Yoga', 'Zed', '2023.1', '2023.2', '2024.1',
          '2024.2', '2025.1', '2025.2', '2026.1', '2026.2')
FIRST = {'nova': 20, 'cinder': 15, 'glance': 19}

OLD, MID, NEW = 'joint-old', 'joint-mid', 'joint-new'
DB_11, DB_17 = ('oslo.db==11.2.0',), ('oslo.db==17.4.0',)
AUTOCOMMIT = ('oslo.db 11.2.0 in place of 12.3.3, which ended the autocommit that this release counts on: '
              'its SQLite would lock itself')
FACADE = 'oslo.db 17.4.0 in place of 18.1.0, which has no EngineFacade any more'
NESTED = ("the lab's SQLite does not lock at the begin of a transaction: it begins one within another where "
          'an image of somebody else is asked for, and would wait for itself, with the filter or without')

RELEASES = (
    Release('nova', '20.6.1', OLD),
    Release('nova', '21.2.4', OLD),
    Release('nova', '22.4.0', OLD),
    Release('nova', '23.2.2', MID, DB_11, AUTOCOMMIT),
    Release('nova', '24.2.1', MID, DB_11, AUTOCOMMIT),
    Release('nova', '25.3.0', MID),
    Release('nova', '26.3.0', MID),
    Release('nova', '27.5.1', MID),
    Release('nova', '28.3.1', MID),
    Release('nova', '29.4.0', MID),
    Release('nova', '30.3.0', MID, ('os-traits==3.2.0', 'oslo.utils==7.3.0', 'netaddr==1.3.0'),
            'joint-mid, with os-traits 3.2.0, oslo.utils 7.3.0 and netaddr 1.3.0: it needs newer ones than '
            'there are in joint-mid, and older ones than in joint-new'),
    Release('nova', '31.3.1', NEW),
    Release('nova', '32.2.1', NEW),
    Release('nova', '33.0.2', NEW),
    Release('nova', '34.0.0', NEW),
    Release('cinder', '15.6.0', OLD),
    Release('cinder', '16.4.2', OLD),
    Release('cinder', '17.4.0', OLD),
    Release('cinder', '18.2.1', MID, DB_11, AUTOCOMMIT),
    Release('cinder', '19.3.0', MID, DB_11, AUTOCOMMIT),
    Release('cinder', '20.3.2', MID, DB_11, AUTOCOMMIT),
    Release('cinder', '21.3.2', MID),
    Release('cinder', '22.3.0', MID),
    Release('cinder', '23.5.0', MID),
    Release('cinder', '24.5.0', MID),
    Release('cinder', '25.3.1', MID),
    Release('cinder', '26.3.0', MID, ('os-brick==6.11.0',),
            'joint-mid, not joint-new: its remotefs driver imports md5 of oslo.utils, which is gone there; '
            'with os-brick 6.11.0, whose storpool_utils its StorPool driver imports'),
    Release('cinder', '27.0.0', NEW),
    Release('cinder', '28.0.0', NEW),
    Release('cinder', '29.0.0', NEW),
    Release('glance', '19.0.4', OLD, (), "its own policy.json, since Train has no policies in its code; "
                                         'no copying: copy-image came with Ussuri'),
    Release('glance', '20.2.0', OLD, (), "eventlet's server, since Ussuri's imports run under no other"),
    Release('glance', '21.1.0', OLD),
    Release('glance', '22.1.1', MID),
    Release('glance', '23.1.0', MID),
    Release('glance', '24.2.1', MID),
    Release('glance', '25.1.0', MID),
    Release('glance', '26.1.0', MID),
    Release('glance', '27.1.1', MID),
    Release('glance', '28.2.0', MID, (), NESTED),
    Release('glance', '29.2.1', MID, (), NESTED),
    Release('glance', '30.2.0', NEW, DB_17, '%s; %s' % (FACADE, NESTED)),
    Release('glance', '31.1.0', NEW, DB_17, FACADE),
    Release('glance', '32.0.0', NEW),
    Release('glance', '33.0.0', NEW),
)


def ends() -> typing.List[Release]:
    """Return the oldest and the newest release of each project."""
    return [release for ends_of in zip(_by_project(0), newest()) for release in ends_of]


def newest() -> typing.List[Release]:
    """Return the newest release of each project."""
    return _by_project(-1)


def _by_project(index: int) -> typing.List[Release]:
    return [[release for release in RELEASES if release.project == project][index] for project in FIRST]
