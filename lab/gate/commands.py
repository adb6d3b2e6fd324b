# SPDX-License-Identifier: Apache-2.0
"""Scenario 9: what an operator types: the check of the site, and the commands for images."""

import json
import os
import typing

from lab.gate import images
from lab.gate import sites
from lab import processes

NEAR, FAR = (site.name for site in sites.SITES)
CREDENTIALS = {
    'OS_AUTH_URL': sites.IDENTITY, 'OS_USERNAME': 'admin', 'OS_PASSWORD': sites.PASSWORD,
    'OS_PROJECT_NAME': 'admin', 'OS_USER_DOMAIN_NAME': 'Default', 'OS_PROJECT_DOMAIN_NAME': 'Default',
    'OS_REGION_NAME': sites.REGION, 'OS_IDENTITY_API_VERSION': '3'}
#: Results of oslo.upgradecheck.
NAMES = ('ok', 'warnings', 'failed')


def check(cloud: typing.Any, sheet: typing.Any) -> None:
    """``multistore-status upgrade check`` with the files of a compute, of Cinder and of Glance."""
    host = sites.SITES[0].hosts[0]
    with sheet.row(9, 'multistore-status upgrade check') as row:
        code, said = _run(cloud, 'multistore-status', 'upgrade', 'check', '--json',
                          '--nova-conf', os.path.join(cloud.hosts.folder(host), 'nova.conf'),
                          '--cinder-conf', cloud.paths.in_work('etc', 'cinder', 'cinder.conf'),
                          '--glance-conf', cloud.paths.in_work('etc', 'glance', 'glance-api.conf'))
        responses = json.loads(said)['checks'] if said.startswith('{') else []
        results = [response['result'] for response in responses]
        row.result = ', '.join('%d %s' % (results.count(number), name)
                               for number, name in enumerate(NAMES) if number in results)
        row.notes += ['%s: %s' % (response['check'], response['details'])
                      for response in responses if response['result']]
        row.expect(responses, 'exit code %d: %s' % (code, said[-300:]))
        row.expect(2 not in results and code < 2, 'a check of a site that is right has failed')


def of_images(cloud: typing.Any, sheet: typing.Any) -> None:
    """``multistore-hooks image copy``, ``stores`` and ``misplaced``."""
    image = cloud.admin.make_image('by-hand', cloud.raw, [sites.CENTRAL])
    with sheet.row(9, 'multistore-hooks image copy') as row:
        code, said = _run(cloud, 'multistore-hooks', 'image', 'copy', image, '--to', NEAR, FAR, '--wait')
        row.stop()
        row.result = ','.join(sorted(cloud.admin.stores(image)))
        row.expect(not code, 'exit code %d: %s' % (code, said[-300:]))
        row.expect({NEAR, FAR} <= cloud.admin.stores(image), 'it is not where it was to be')
    with sheet.row(9, 'multistore-hooks image stores') as row:
        code, said = _run(cloud, 'multistore-hooks', 'image', 'stores', image, '-f', 'json')
        shown = json.loads(said)[0]['Stores'] if not code else []
        row.result = ','.join(sorted(shown))
        row.expect(set(shown) == cloud.admin.stores(image), 'exit code %d: %s' % (code, said[-300:]))
    images.delete(cloud, [image])


def _run(cloud: typing.Any, program: str, *arguments: str) -> typing.Tuple[int, str]:
    """Return the exit code of a command, and what it printed; a failure is expected here."""
    done = processes.run([cloud.paths.program(program), *arguments], guarded=False,
                         env={**os.environ, **CREDENTIALS})
    said = done.output + done.errors
    with open(cloud.paths.in_work('log', 'commands.out'), 'a', encoding='utf-8') as stream:
        stream.write('$ %s %s\n%s' % (program, ' '.join(arguments), said))
    return done.code, said
