# SPDX-License-Identifier: Apache-2.0
"""Volume types whose ``image_service:store_id`` is checked when it is written.

In cinder.conf of the API service, beside Cinder's own extensions::

    osapi_volume_extension = cinder.api.contrib.standard_extensions
    osapi_volume_extension = multistore_hooks.cinder.extra_specs.StoreValidation

Train and later. Cinder itself checks nothing on Train, and from Ussuri on not what comes with a new
type.
"""

import re
from typing import Any
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Optional

from cinder.api import extensions
from cinder.api.openstack import wsgi
from cinder.policies import type_extra_specs as specs_policy
from cinder.policies import volume_type as types_policy
import webob.exc

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_request
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.upload import placements

_LETTERS = re.compile('[^a-z]')
#: The key as people write it.
_ALIKE = ('imageservicestoreid', 'imageservicestoreids', 'imageservicestore', 'imageservicestores')


def check(context: Any, specs: Any) -> None:
    """Check the store that extra specs name.

    :param specs: a request's extra specs, not validated yet.
    :raises webob.exc.HTTPBadRequest: one line with the key, the value, what is wrong and which
        stores there are.
    :raises webob.exc.HTTPServiceUnavailable: Glance could not be reached.
    """
    if not isinstance(specs, Mapping):
        return  # Cinder's own schema says so
    wrong_keys = [key for key in specs if key != upload_request.STORE_KEY
                  and _LETTERS.sub('', str(key).lower()) in _ALIKE]
    if not wrong_keys and upload_request.STORE_KEY not in specs:
        return
    try:
        stores = image_client.images_for(context).stores()
    except Exception as error:
        raise webob.exc.HTTPServiceUnavailable(
            explanation=_("The extra spec %(key)s is not accepted, because Glance's stores are not known: "
                          '%(error)s') % {'key': upload_request.STORE_KEY, 'error': error})
    problems = [_("There is no extra spec '%(wrong)s': the key is %(key)s")
                % {'wrong': key, 'key': upload_request.STORE_KEY} for key in wrong_keys]
    why = (_why_unusable(specs[upload_request.STORE_KEY], stores)
           if upload_request.STORE_KEY in specs else None)
    if why is not None:
        problems.append(_("The extra spec %(key)s names the Glance store '%(value)s', which %(why)s")
                        % {'key': upload_request.STORE_KEY, 'value': specs[upload_request.STORE_KEY],
                           'why': why})
    if problems:
        raise webob.exc.HTTPBadRequest(
            explanation='%s. %s' % ('. '.join(problems), placements.describe(stores)))


def _why_unusable(value: Any, stores: api.Stores) -> Optional[str]:
    """Return why a value of ``image_service:store_id`` is not accepted, or None if it is."""
    if stores.stores and (not isinstance(value, str) or not value.strip()):
        return _('is no name of a store')
    why = placements.why_unusable(str(value), stores)
    if why == placements.DOES_NOT_EXIST and (',' in value or len(value.split()) > 1):
        return _('does not exist (a volume type names one store, not a list)')
    return why


def _check_request(req: Any, policy: str, specs: Any) -> None:
    """Check extra specs unless Cinder will refuse the request anyway, for the policy given."""
    context = req.environ['cinder.context']
    if context.authorize(policy, fatal=False):
        check(context, specs)


def _within(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, Mapping) else None


class _Types(wsgi.Controller):
    """Runs before Cinder's own POST /types."""

    @wsgi.extends(action='create')
    def create(self, req: Any, body: Any = None, **kwargs: Any) -> Iterator[None]:
        # Types had one policy for all changes before they had one for each.
        policy = getattr(types_policy, 'CREATE_POLICY', None) or types_policy.MANAGE_POLICY
        _check_request(req, policy, _within(_within(body, 'volume_type'), 'extra_specs'))
        yield


class _ExtraSpecs(wsgi.Controller):
    """Runs before Cinder's own POST and PUT /types/{id}/extra_specs."""

    @wsgi.extends
    def create(self, req: Any, body: Any = None, **kwargs: Any) -> Iterator[None]:
        _check_request(req, specs_policy.CREATE_POLICY, _within(body, 'extra_specs'))
        yield

    @wsgi.extends
    def update(self, req: Any, body: Any = None, **kwargs: Any) -> Iterator[None]:
        _check_request(req, specs_policy.UPDATE_POLICY, body)
        yield


class StoreValidation(extensions.ExtensionDescriptor):  # type: ignore[misc]
    """Checks the Glance store that a volume type names."""

    name = 'MultistoreStoreValidation'
    alias = 'multistore-store-validation'
    updated = '2026-11-20T00:00:00+00:00'

    def get_controller_extensions(self) -> List[Any]:
        return [extensions.ControllerExtension(self, 'types', _Types()),
                extensions.ControllerExtension(self, 'extra_specs', _ExtraSpecs())]
