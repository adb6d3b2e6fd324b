# SPDX-License-Identifier: Apache-2.0
"""When data without a record was seen first: a file, as a removal needs two sights an hour apart."""

import json
import os
import tempfile
from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Optional

from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import places


class SightingsError(exceptions.MultistoreError):
    """The file cannot be read or written."""

    msg_fmt = _("The file of --seen '%(file)s' cannot be used: %(why)s.")


class Sighting(NamedTuple):
    """Data as it was when it was seen first."""

    size: int
    #: When it was changed last by then, if the pool reports it.
    changed: Optional[float]
    #: When it was seen first, in seconds since 1970.
    first: float

    def is_of(self, data: places.Found) -> bool:
        """Return whether the data is the same as then."""
        return (self.size, self.changed) == (data.size, data.changed)


class Sightings:
    """The sightings of one file, which is read at once and replaced as a whole.

    :raises SightingsError: the file is not one of these, or its directory cannot be written
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._seen: Dict[str, Sighting] = {}
        try:
            with open(self._path, encoding='utf-8') as stream:
                self._seen = {key: Sighting(int(size), changed, float(first))
                              for key, (size, changed, first) in json.load(stream)['seen'].items()}
        except FileNotFoundError:
            self.save()  # so that a path that cannot be written is found out now
        except OSError as error:
            raise SightingsError(file=path, why=error.strerror or error)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise SightingsError(file=path, why='it was not written by this command')

    def get(self, place: places.Place, name: str) -> Optional[Sighting]:
        """Return when data was seen first, or None."""
        return self._seen.get(_key(place, name))

    def put(self, place: places.Place, name: str, sighting: Optional[Sighting]) -> None:
        """Keep a sighting, or with None forget it.

        :raises SightingsError: the file cannot be written
        """
        self._seen.pop(_key(place, name), None)
        if sighting is not None:
            self._seen[_key(place, name)] = sighting
        self.save()

    def save(self) -> None:
        """Replace the file.

        :raises SightingsError: it cannot be written
        """
        document: Dict[str, Any] = {'seen': self._seen}
        try:
            handle, temporary = tempfile.mkstemp(prefix='.seen', dir=os.path.dirname(self._path))
            try:
                with os.fdopen(handle, 'w', encoding='utf-8') as stream:
                    json.dump(document, stream)
                os.replace(temporary, self._path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise SightingsError(file=self._path, why=error.strerror or error)


def _key(place: places.Place, name: str) -> str:
    return '/'.join(str(part) for part in place.identity + (name,))
