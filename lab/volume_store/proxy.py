# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of Cinder's API: records every request, and lets those fail that are named.

    with Proxy('http://127.0.0.1:8776') as proxy:
        proxy.fault('POST', '/attachments$', action='status', status=503)
        proxy.fault('DELETE', '/attachments/', at='after', action='reset')
        proxy.requests, proxy.clear()

It listens on loopback, in threads of the process that made it.
"""
import collections
import http.client
import re
import typing
import urllib.parse

from lab import faults
from lab import http_server
from lab import poll

# Of one connection, or written by the server itself.
HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date', 'server'}
TIMEOUT = poll.SECONDS


class Request(typing.NamedTuple):
    """A request that came by: what it was, the status from Cinder (0: not sent on), which fault it met."""

    method: str
    path: str
    status: int
    fault: typing.Optional[str]


class Proxy(http_server.JsonServer):
    """Use it as a context manager.

    :param target: the address of Cinder, without a path
    :ivar url: the address of the proxy
    :ivar requests: the requests since the last :meth:`clear`, in the order of their ends
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = urllib.parse.urlsplit(target)
        self._rules = faults.Rules()
        self.requests: typing.Deque[Request] = collections.deque(maxlen=20000)

    def __exit__(self, *_unused: typing.Any) -> None:
        self.clear()
        super().__exit__()

    def fault(self, method: typing.Optional[str] = None, path: str = '', **rule: typing.Any) -> None:
        """Let requests fail, as lab.faults says; ``at`` is 'before' or 'after'."""
        self._rules.add(dict(rule, method=method, path=path))

    def clear(self) -> None:
        """Let no request fail any more, let those go that hang, and forget the records."""
        self._rules.clear()
        self.requests.clear()

    def count(self, method: str, path: str) -> int:
        """Return how many requests Cinder was sent, of a method and a path that a pattern is found in."""
        return sum(1 for one in list(self.requests)
                   if one.method == method and one.status and re.search(path, one.path))

    def respond(self, method: str, path: str, headers: typing.Any, body: bytes) -> http_server.Response:
        """Return Cinder's response, unless the request is to fail."""
        rule = self._rules.rule_for('outer', method, path.partition('?')[0])
        response: http_server.Response = (0, b'', {})
        if rule is None or rule['at'] == 'after':
            response = self._forward(method, path, headers, body)
        self.requests.append(Request(method, path, response[0], rule and rule['action']))
        if rule is None:
            return response
        if rule['action'] == 'status':
            return rule['status'], {'lab': 'injected by the lab'}, rule['headers']
        if rule['action'] == 'hang':
            self._rules.released.wait(rule['seconds'])
        raise http_server.Reset

    def _forward(self, method: str, path: str, headers: typing.Any, body: bytes) -> http_server.Response:
        connection = http.client.HTTPConnection(self._target.hostname, self._target.port, timeout=TIMEOUT)
        try:
            # The Host stays, so that links in responses lead through here too.
            connection.request(method, path, body or None, _passed_on(headers.items()))
            response = connection.getresponse()
            return response.status, response.read(), _passed_on(response.getheaders())
        except (OSError, http.client.HTTPException) as error:
            return 502, str(error).encode(), {}
        finally:
            connection.close()


def _passed_on(headers: typing.Iterable[typing.Tuple[str, str]]) -> typing.Dict[str, str]:
    return {name.title(): value for name, value in headers if name.lower() not in HOP}
