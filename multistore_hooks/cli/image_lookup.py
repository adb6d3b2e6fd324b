# SPDX-License-Identifier: Apache-2.0
"""Images as a person names them: by id or by name; and all images there are."""

import itertools
from typing import Iterator
from typing import List

from oslo_utils import uuidutils

from multistore_hooks.cli import text
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.i18n import _


class ImageNotFound(exceptions.MultistoreError):
    """No image has this id or name."""

    msg_fmt = _("There is no image with the id or the name '%(wanted)s', or these credentials may not see "
                'it.')


class NameNotUnique(exceptions.MultistoreError):
    """More than one image has this name."""

    msg_fmt = _("%(count)d images have the name '%(wanted)s': %(ids)s. Name one of them by its id.")


class Images(client.ClientImages):
    """ImageApi with what only the command line needs: lists."""

    def all(self) -> Iterator[api.Image]:
        """Yield all images, hidden ones too: an outdated base image usually is hidden."""
        return itertools.chain(self.list_images(), self.list_images(os_hidden='true'))

    def find(self, wanted: str) -> api.Image:
        """Return the image of an id or, if there is none, of a name.

        :raises ImageNotFound: there is none
        :raises NameNotUnique: there are several of that name; the error has their ids
        :raises GlanceError: Glance refuses
        """
        if uuidutils.is_uuid_like(wanted):
            try:
                return self.image(wanted)
            except api.NotFound:
                pass  # it could be the name of an image
        # Glance would take such a name for an operator and a list.
        by_name = {} if wanted.startswith('in:') else {'name': wanted}
        for hidden in ('false', 'true'):
            found = [image for image in self.list_images(os_hidden=hidden, **by_name)
                     if image.record.get('name') == wanted]
            if len(found) > 1:
                raise NameNotUnique(count=len(found), wanted=wanted, ids=_describe(found))
            if found:
                return found[0]
        raise ImageNotFound(wanted=wanted)


def name_of(image: api.Image) -> text.Name:
    """Return an image's name; it may have none."""
    return text.Name(image.record.get('name') or '')


def _describe(found: List[api.Image]) -> str:
    return ', '.join('%s (%s)' % (image.id, image.status) for image in found)
