# SPDX-License-Identifier: Apache-2.0
"""What the demo uploads, and what has to come of it: data, and nothing else."""

import typing

STORES = ('reliable', 'fast', 'cheap')
DEFAULT = 'fast'
SIZE = 2 << 20          # bytes of every disk and volume
MISSING = 'gold'        # a store that an operator names and that does not exist

SAME, DAMAGED, NONE = 'same', 'damaged', 'none'

Stores = typing.Tuple[str, ...]
RELIABLE: Stores = ('reliable',)
FAST: Stores = ('fast',)
CHEAP: Stores = ('cheap',)
BOTH: Stores = ('reliable', 'cheap')
NOWHERE: Stores = ()


class By(typing.NamedTuple):
    """Who uploads: one process of a service, and the Glance that it talks to."""

    service: str                                # 'Nova' or 'Cinder'
    hooks: bool                                 # configured with our classes, or as released
    filter: bool                                # is our filter in Glance's pipeline?
    snapshot_store: typing.Optional[str] = None     # the option in nova.conf

    @property
    def name(self) -> str:
        """For a person: service, and hooks or stock."""
        return '%s %s' % (self.service, 'hooks' if self.hooks else 'stock')


class Defect(typing.NamedTuple):
    """What the released service is known to do in place of the right thing."""

    stores: Stores
    data: str = SAME                            # SAME, DAMAGED or NONE


class Case(typing.NamedTuple):
    """One row of the table."""

    what: str
    by: By
    meant: Stores                               # NOWHERE: an error, before any byte is moved
    base: typing.Optional[str] = 'reliable'     # see BASES; None: there is none
    kind: str = 'snapshot'                      # Nova's operation
    type_store: typing.Optional[str] = None     # image_service:store_id of the volume's type
    fault: bool = False                         # Glance responds with 503 once, in the middle of it
    warns: bool = False                         # the hooks have to say so
    defect: typing.Optional[Defect] = None


class Section(typing.NamedTuple):
    """Rows that belong together."""

    title: str
    cases: typing.Tuple[Case, ...]


# The base images that each Glance has, by the stores that they are in.
BASES: typing.Dict[str, Stores] = {'reliable': RELIABLE, 'both': BOTH, 'deleted': RELIABLE}

NOVA = By('Nova', hooks=False, filter=False)
NOVA_FILTER = By('Nova', hooks=False, filter=True)
NOVA_HOOKS = By('Nova', hooks=True, filter=False)
NOVA_HOOKS_FILTER = By('Nova', hooks=True, filter=True)
NOVA_HOOKS_CHEAP = By('Nova', hooks=True, filter=True, snapshot_store='cheap')
NOVA_HOOKS_MISSING = By('Nova', hooks=True, filter=False, snapshot_store=MISSING)
CINDER = By('Cinder', hooks=False, filter=False)
CINDER_FILTER = By('Cinder', hooks=False, filter=True)
CINDER_HOOKS = By('Cinder', hooks=True, filter=False)
CINDER_HOOKS_FILTER = By('Cinder', hooks=True, filter=True)

TO_DEFAULT = Defect(FAST)

SECTIONS = (
    Section('Snapshots of servers whose base image is in reliable', (
        Case('snapshot', NOVA, RELIABLE, defect=TO_DEFAULT),
        Case('snapshot', NOVA_FILTER, RELIABLE),
        Case('snapshot', NOVA_HOOKS, RELIABLE),
        Case('snapshot', NOVA_HOOKS_FILTER, RELIABLE),
        Case('backup', NOVA_HOOKS, RELIABLE, kind='backup'),
        Case('shelve', NOVA_HOOKS, RELIABLE, kind='shelve'),
        Case('snapshot_store: cheap', NOVA_HOOKS_CHEAP, CHEAP),
        Case('snapshot_store: gold', NOVA_HOOKS_MISSING, NOWHERE),
        Case('base image also in cheap', NOVA_FILTER, RELIABLE, base='both'),
        Case('base image also in cheap', NOVA_HOOKS, RELIABLE, base='both'),
        Case('base image deleted', NOVA_HOOKS, FAST, base='deleted', warns=True),
        Case('Glance returns 503 midway', NOVA, RELIABLE, fault=True, defect=Defect(FAST, DAMAGED)),
        Case('Glance returns 503 midway', NOVA_HOOKS, RELIABLE, fault=True),
    )),
    Section('Volumes uploaded as images; their base image is in reliable', (
        Case('volume', CINDER, RELIABLE, defect=TO_DEFAULT),
        Case('volume', CINDER_FILTER, RELIABLE),
        Case('volume', CINDER_HOOKS, RELIABLE),
        Case('base image also in cheap', CINDER_FILTER, BOTH, base='both'),
        Case('base image also in cheap', CINDER_HOOKS_FILTER, BOTH, base='both'),
        Case("volume type's store: cheap", CINDER, CHEAP, type_store='cheap'),
        Case("volume type's store: cheap", CINDER_HOOKS, CHEAP, type_store='cheap'),
        Case("volume type's store: cheap", CINDER_HOOKS_FILTER, CHEAP, type_store='cheap'),
        Case("volume type's store: gold", CINDER, NOWHERE, type_store=MISSING,
             defect=Defect(NOWHERE, NONE)),
        Case("volume type's store: gold", CINDER_HOOKS, NOWHERE, type_store=MISSING),
        Case('base image deleted', CINDER_HOOKS, FAST, base='deleted', warns=True),
        Case('Glance returns 503 midway', CINDER_FILTER, RELIABLE, fault=True,
             defect=Defect(RELIABLE, DAMAGED)),
        Case('Glance returns 503 midway', CINDER_HOOKS_FILTER, RELIABLE, fault=True),
    )),
    Section('Volumes uploaded as images; they are not bootable and have no base image', (
        Case('volume type without store', CINDER_HOOKS, FAST, base=None),
        Case("volume type's store: cheap", CINDER_HOOKS, CHEAP, base=None, type_store='cheap'),
    )),
)


def runs() -> typing.Dict[By, typing.List[Case]]:
    """Return the processes that the cases need, each with its cases in the order to do them.

    A case with a fault comes first: the fault hits the first upload that Glance gets.
    """
    found: typing.Dict[By, typing.List[Case]] = {}
    for section in SECTIONS:
        for case in section.cases:
            found.setdefault(case.by, []).append(case)
    return {by: sorted(cases, key=lambda case: not case.fault) for by, cases in found.items()}
