# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.image.glance: the retry loop, which hands errors on as Cinder's does."""

import glanceclient.exc

from cinder import exception

ATTEMPTS = 2
RETRIED = (glanceclient.exc.ServiceUnavailable, glanceclient.exc.InvalidEndpoint,
           glanceclient.exc.CommunicationError)


def _create_glance_client(context, privileged_user):
    """Return a client with the rights that Cinder would use; the context of a test makes it."""
    return context.glance_client('[glance]' if privileged_user else context.get_auth_plugin())


class GlanceClientWrapper:

    def __init__(self, context=None, netloc=None, use_ssl=False, privileged_user=False):
        pass

    def _create_onetime_client(self, context, privileged_user=False):
        return _create_glance_client(context, privileged_user)

    def call(self, context, method, *args, **kwargs):
        privileged_user = kwargs.pop('privileged_user', False)
        for attempt in range(1, ATTEMPTS + 1):
            client = self._create_onetime_client(context, privileged_user)
            try:
                return getattr(client.images, method)(*args, **kwargs)
            except RETRIED as error:
                if attempt == ATTEMPTS:
                    raise exception.GlanceConnectionFailed(reason=error)
            except glanceclient.exc.HTTPOverLimit as error:
                raise exception.ImageLimitExceeded(error)


class GlanceImageService:

    def __init__(self):
        self.updates = []

    def update(self, context, image_id, image_meta, data=None, purge_props=True):
        self.updates.append((image_id, image_meta, data))
        return {'id': image_id}

    def show(self, context, image_id):
        return 'shown'


def _translate_image_exception(image_id, error):
    if isinstance(error, (glanceclient.exc.Forbidden, glanceclient.exc.Unauthorized)):
        return exception.ImageNotAuthorized(image_id=image_id)
    if isinstance(error, glanceclient.exc.NotFound):
        return exception.ImageNotFound(image_id=image_id)
    if isinstance(error, glanceclient.exc.BadRequest):
        return exception.Invalid(error)
    return error
