# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Neutron on 127.0.0.1:PORT that has no networks: servers boot without any.

Every list is empty, and no quota is limited; Nova asks for nothing else of such servers.
"""

import http.server
import json
import re
import sys

LIST = re.compile(r'^/v2\.0/(extensions|floatingips|networks|ports|security-groups|subnets)$')
QUOTA = re.compile(r'^/v2\.0/quotas/[^/]+$')
UNLIMITED = {name: -1 for name in ('floatingip', 'network', 'port', 'security_group', 'subnet')}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers any method alike."""

    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
        """Answer with an empty list, with the one version there is, or with 404."""
        path = self.path.partition('?')[0].rstrip('/')
        found = LIST.match(path)
        if found:
            self._answer(200, {found.group(1).replace('-', '_'): []})
        elif QUOTA.match(path):
            self._answer(200, {'quota': UNLIMITED})
        elif not path:
            here = 'http://127.0.0.1:%d/v2.0/' % self.server.server_address[1]
            self._answer(200, {'versions': [{'id': 'v2.0', 'status': 'CURRENT',
                                             'links': [{'rel': 'self', 'href': here}]}]})
        else:
            self._answer(404, {'NeutronError': {'type': 'NotFound', 'message': path, 'detail': ''}})

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, code: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == '__main__':
    http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
