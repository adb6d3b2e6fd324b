# SPDX-License-Identifier: Apache-2.0
"""How the commands reach Glance: a keystoneauth session, and ImageApi over it.

Credentials are found as the openstack client finds them (``--os-*``, ``OS_*``, clouds.yaml), or in a
section of a service's own configuration file. Each fault on the way to Glance is one of the errors below, one
line each; an error response of Glance itself is a ``glance_api.api.GlanceError``.
"""

import argparse
import logging
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional

from glanceclient import exc
from glanceclient.v2 import client as glance_client
from keystoneauth1 import exceptions as ksa
from keystoneauth1 import loading
from keystoneauth1 import session as ksa_session

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.i18n import _

# Seconds until a response begins, unless the configuration says otherwise: keystoneauth has no limit.
TIMEOUT = 60

_OPTIONS = (
    ('cloud', 'NAME', 'the cloud of this name in clouds.yaml (OS_CLOUD)'),
    ('auth-type', 'TYPE', 'how to authenticate: password, v3applicationcredential, ... (OS_AUTH_TYPE)'),
    ('auth-url', 'URL', "Keystone's address (OS_AUTH_URL)"),
    ('username', 'NAME', 'OS_USERNAME'),
    ('user-id', 'ID', 'OS_USER_ID'),
    ('password', 'PASSWORD', 'better in OS_PASSWORD, where other users of this machine do not see it'),
    ('user-domain-name', 'NAME', 'OS_USER_DOMAIN_NAME'),
    ('user-domain-id', 'ID', 'OS_USER_DOMAIN_ID'),
    ('project-name', 'NAME', 'OS_PROJECT_NAME'),
    ('project-id', 'ID', 'OS_PROJECT_ID'),
    ('project-domain-name', 'NAME', 'OS_PROJECT_DOMAIN_NAME'),
    ('project-domain-id', 'ID', 'OS_PROJECT_DOMAIN_ID'),
    ('system-scope', 'all', 'OS_SYSTEM_SCOPE'),
    ('application-credential-id', 'ID', 'OS_APPLICATION_CREDENTIAL_ID'),
    ('application-credential-secret', 'SECRET', 'OS_APPLICATION_CREDENTIAL_SECRET'),
    ('token', 'TOKEN', 'OS_TOKEN'),
    ('endpoint', 'URL', "Glance's address, for the types admin_token and none (OS_ENDPOINT)"),
    ('region-name', 'NAME', 'OS_REGION_NAME'),
    ('interface', 'TYPE', "which of the catalog's endpoints: public, internal or admin (OS_INTERFACE)"),
    ('image-endpoint-override', 'URL', "Glance's address in place of the catalog's, such as a site's own"),
    ('cacert', 'FILE', "certificates of the authorities that sign the servers' (OS_CACERT)"),
    ('cert', 'FILE', "the client's certificate (OS_CERT)"),
    ('key', 'FILE', "the client certificate's key (OS_KEY)"),
)


class CloudError(exceptions.MultistoreError):
    """Glance could not be reached: base of the errors below."""


class NoCredentials(CloudError):
    """There are no credentials, or they are not complete."""

    msg_fmt = _('No usable credentials: %(why)s. Name a cloud of clouds.yaml with --os-cloud, or set '
                'OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME, OS_USER_DOMAIN_NAME and '
                'OS_PROJECT_DOMAIN_NAME.')


class WrongConfiguration(CloudError):
    """A section of a service's configuration file does not say how to authenticate."""

    msg_fmt = _('The credentials in %(source)s cannot be used: %(why)s.')


class NotAccepted(CloudError):
    """Keystone or Glance responded with 401."""

    msg_fmt = _('The credentials of %(source)s are not accepted: %(why)s. Check the user name, the '
                'password, the project and their domains.')


class Unreachable(CloudError):
    """There is no response, or not in time."""

    msg_fmt = _('%(what)s cannot be reached with the credentials of %(source)s: %(why)s.')


class TlsFailed(CloudError):
    """The server's certificate is not accepted, or it does not speak TLS."""

    msg_fmt = _('TLS fails with the credentials of %(source)s: %(why)s. If an authority of your own signs '
                "the server's certificate, name it with --os-cacert FILE (cafile in a configuration "
                'file); if the server does not speak TLS, its URL begins with http:.')


class NoEndpoint(CloudError):
    """The catalog knows no Glance here."""

    msg_fmt = _("Keystone's catalog has no image endpoint for region %(region)s, interface "
                '%(interface)s. Name another region or interface, or the address itself with '
                '--os-image-endpoint-override.')


class NotGlance(CloudError):
    """The server that responds is not Glance."""

    msg_fmt = _("The server at %(url)s is not Glance's API: %(why)s.")


class Endpoint(NamedTuple):
    """Which Glance: the catalog's endpoint of a region and interface, or an address in its place."""

    region: Optional[str] = None
    interface: Optional[str] = None
    override: Optional[str] = None
    service_type: str = 'image'


class Connection:
    """A Glance and the credentials for it. Nothing is sent before the first request.

    :param source: where the credentials come from, in the words of an error
    :param override_of: another service's address in place of the catalog's, if there is one
    """

    def __init__(self, session: ksa_session.Session, endpoint: Endpoint, source: str,
                 override_of: Callable[[str], Optional[str]] = lambda service_type: None) -> None:
        if session.timeout is None:
            session.timeout = TIMEOUT
        self.session = session
        self.source = source
        #: ImageApi; in addition to GlanceError its verbs raise CloudError.
        self.images = client.ClientImages(self.run)
        self._endpoint = endpoint
        self._override_of = override_of
        self._client: Any = None

    @property
    def glance(self) -> Any:
        """The glanceclient (version 2) that all goes through.

        :raises CloudError: no endpoint, or Keystone cannot be reached for it
        """
        if self._client is None:
            self._client = glance_client.Client(session=self.session, endpoint_override=self.endpoint())
        return self._client

    def endpoint(self) -> str:
        """Return Glance's address, without its version.

        :raises CloudError: the catalog has none, or Keystone cannot be reached for it
        """
        endpoint = self._endpoint
        url = endpoint.override or self._guarded('Keystone', self._in_catalog)
        if not url:
            raise NoEndpoint(region=endpoint.region or '(any)', interface=endpoint.interface or 'public')
        return re.sub(r'/v\d(\.\d)?/?$', '', str(url)).rstrip('/')

    def _in_catalog(self) -> Optional[str]:
        endpoint = self._endpoint
        try:
            return self.session.get_endpoint(  # type: ignore[no-any-return]
                service_type=endpoint.service_type, region_name=endpoint.region,
                interface=endpoint.interface or 'public')
        except ksa.EndpointNotFound:
            return None

    def run(self, verb: str, function: Callable[[Any], Any]) -> Any:
        """Call ``function(glanceclient)``, as ``images.client.Run`` says.

        :raises CloudError: Glance or Keystone could not be reached
        :raises images.api.GlanceError: Glance responded with an error
        """
        glance = self.glance
        response = self._guarded('Glance', lambda: function(glance))
        # Everything that is read is JSON; a load balancer's page is none.
        if verb in ('get', 'stores') and not isinstance(response[1], (dict, list)):
            raise NotGlance(url=self.endpoint(), why='its response is not JSON')
        return response

    def other(self, service_type: str, path: str) -> Any:
        """Return the JSON that another service returns for a GET; None for any error."""
        try:
            response = self.session.get(
                path, raise_exc=False, endpoint_override=self._override_of(service_type),
                endpoint_filter={'service_type': service_type, 'region_name': self._endpoint.region,
                                 'interface': self._endpoint.interface or 'public'})
            return response.json() if response.status_code == 200 else None
        except (ksa.ClientException, ValueError, OSError):
            return None

    def _guarded(self, what: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except api.GlanceError as error:
            if error.status == 401:
                raise NotAccepted(source=self.source, why=_one_line(error)) from error
            raise
        except Exception as error:  # keystoneauth's, glanceclient's and the system's have no base in common
            explained = explain(error, self.source, what)
            if explained is not None:
                raise explained from error
            if isinstance(error, exc.HTTPException):
                raise client.translate_error(error) from error
            raise


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--os-cloud`` and the other options to a parser; `connect` reads the environment later."""
    group = parser.add_argument_group(
        'the cloud', 'As for the openstack client: each can be a variable OS_*, or stand in clouds.yaml.')
    for name, value, text in _OPTIONS:
        group.add_argument('--os-' + name, metavar=value, help=text)
    group.add_argument('--insecure', action='store_true', default=None,
                       help="do not verify the servers' certificates")


def connect(options: argparse.Namespace) -> Connection:
    """Return a Connection by ``--os-*``, the variables OS_* and clouds.yaml, in this order.

    :param options: what a parser of `add_options` read
    :raises CloudError: there are no credentials, or they are not complete; nothing is sent yet
    """
    return connection_of(region_of(options))


def region_of(options: argparse.Namespace) -> Any:
    """Return openstacksdk's CloudRegion for the options, the environment and clouds.yaml.

    :raises NoCredentials: there are none, or they are not complete
    """
    try:
        # Late: it takes a second to import, which --help need not wait for.
        from openstack.config import loader
    except ImportError as error:
        raise NoCredentials(why='openstacksdk, which reads them, is missing (%s): pip install '
                            'openstacksdk' % error)
    given: Dict[str, Any] = {
        key[len('os_'):]: value for key, value in vars(options).items()
        if key.startswith('os_') and value is not None}
    if getattr(options, 'insecure', None):
        given['verify'] = False
    skipped = _Skipped(logging.WARNING)
    logging.getLogger('openstack').addHandler(skipped)
    try:
        return loader.OpenStackConfig(app_name='multistore-hooks').get_one(**given)
    # openstacksdk, yaml and keystoneauth have no base in common for what a file can have wrong.
    except Exception as error:
        said = [_one_line(error).rstrip('.')] + skipped.messages
        raise NoCredentials(why='; '.join(said)) from error
    finally:
        logging.getLogger('openstack').removeHandler(skipped)


class _Skipped(logging.Handler):
    """Keeps the reason why openstacksdk skips a clouds.yaml, which it only logs."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = ' '.join(record.getMessage().split())
        if message.startswith('Skipping') and message not in self.messages:
            self.messages.append(message)


def connection_of(region: Any) -> Connection:
    """Return a Connection for openstacksdk's CloudRegion, which an openstackclient plugin has at hand.

    :raises NoCredentials: the CloudRegion has none
    """
    named = region.name and region.name not in ('envvars', 'defaults')
    try:
        session = region.get_session()
        endpoint = Endpoint(region.config.get('region_name') or None, region.get_interface('image'),
                            region.get_endpoint('image'))
    except Exception as error:
        raise NoCredentials(why=_one_line(error).rstrip('.')) from error
    source = ('cloud %s in clouds.yaml' % region.name if named
              else 'the command line and the variables OS_*')
    return Connection(session, endpoint, source, region.get_endpoint)


def connection_from_conf(conf: Any, group: str, endpoint: Endpoint, source: str) -> Connection:
    """Return a Connection by a section of a service's configuration file, as keystoneauth reads it.

    :param conf: oslo.config's ConfigOpts, with the file parsed
    :param source: the file and the section, for errors
    :raises WrongConfiguration: the section is not complete; nothing is sent yet
    """
    loading.register_auth_conf_options(conf, group)
    loading.register_session_conf_options(conf, group)
    try:
        auth = loading.load_auth_from_conf_options(conf, group)
        if auth is None:
            raise WrongConfiguration(source=source, why='auth_type is not set')
        session = loading.load_session_from_conf_options(conf, group, auth=auth)
    except CloudError:
        raise
    # keystoneauth's and oslo.config's errors for a wrong value have no base in common.
    except Exception as error:
        raise WrongConfiguration(source=source, why=_one_line(error).rstrip('.')) from error
    return Connection(session, endpoint, source)


def explain(error: BaseException, source: str = 'the command line',
            what: str = 'Glance') -> Optional[CloudError]:
    """Return (not raise) the error for what keystoneauth or glanceclient raised; None for others.

    :param what: the service of the request: Glance or Keystone
    """
    why = _one_line(error).rstrip('.')
    if isinstance(error, _CONNECTION) and re.search('SSL|certificate', why, re.IGNORECASE):
        return TlsFailed(source=source, why=why)
    if isinstance(error, (ksa.Unauthorized, exc.HTTPUnauthorized)):
        return NotAccepted(source=source, why=why)
    if isinstance(error, (ksa.AuthPluginException, ksa.AuthorizationFailure, ksa.MissingAuthMethods)):
        return NoCredentials(why=why)
    if isinstance(error, _CONNECTION + (ksa.ClientException,)):
        return Unreachable(what=what, source=source, why=why)
    return None


# OSError: requests' own, and a certificate file that is not there.
_CONNECTION = (ksa.ConnectionError, ksa.DiscoveryFailure, exc.CommunicationError, exc.InvalidEndpoint,
               OSError)


# The kernel's and OpenSSL's own words, inside of urllib3's inside of requests' inside of keystoneauth's.
_REASON = re.compile(r'\[SSL[^\'"(]*|\[Errno[^\'"]*|timed out')


def _in_short(text: str) -> str:
    reasons = _REASON.findall(text)
    head, pool, _rest = text.partition('HTTPConnectionPool')
    if not pool:
        head, pool, _rest = text.partition('HTTPSConnectionPool')
    return head + reasons[-1].strip() if pool and reasons else text


def _one_line(error: BaseException) -> str:
    text = _in_short(' '.join(str(error).split())) or type(error).__name__
    return text if len(text) <= 400 else text[:397] + '...'
