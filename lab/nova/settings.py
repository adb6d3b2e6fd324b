# SPDX-License-Identifier: Apache-2.0
"""The nova.conf of the lab: what the document asks for, over what a compute host needs."""

import os
import typing

Document = typing.Dict[str, typing.Any]
Sections = typing.Dict[str, typing.Dict[str, typing.Any]]

HOST = 'lab-compute'


def write(document: Document) -> str:
    """Write nova.conf into the document's state directory; return its path.

    The document's ``conf`` is {section: {option: value}}; it wins over the lab's own. A list is
    written as the option given several times.
    """
    state = os.path.abspath(document['state_dir'])
    for name in ('instances', 'lock'):
        os.makedirs(os.path.join(state, name), exist_ok=True)
    sections = _own(document, state)
    for name, options in document.get('conf', {}).items():
        sections.setdefault(name, {}).update(options)
    path = os.path.join(state, 'nova.conf')
    with open(path, 'w', encoding='utf-8') as conf:
        conf.write(_render(sections))
    return path


def write_placement(document: Document, url: str) -> str:
    """Write a second file, for what is known only when the service runs; return its path."""
    path = os.path.join(os.path.abspath(document['state_dir']), 'placement.conf')
    with open(path, 'w', encoding='utf-8') as conf:
        conf.write(_render({'placement': {'auth_type': 'none', 'endpoint_override': url}}))
    return path


def _own(document: Document, state: str) -> Sections:
    return {
        'DEFAULT': {
            'compute_driver': document.get('compute_driver', 'libvirt.LibvirtDriver'),
            'host': HOST,
            'state_path': state,
            'log_file': os.path.join(state, 'nova-compute.log'),
            'use_stderr': 'false',
            # Messages stay in this process: see the package's docstring.
            'transport_url': 'fake:/',
            # Newer releases warn when these differ.
            'max_concurrent_builds': '5',
            'max_concurrent_snapshots': '5',
            # A shelved server stays on its host, so that shelving ends with its snapshot.
            'shelved_offload_time': '-1',
        },
        'database': {'connection': 'sqlite:///%s/nova.sqlite?timeout=60' % state},
        'api_database': {'connection': 'sqlite:///%s/nova-api.sqlite?timeout=60' % state},
        'glance': {'endpoint_override': document['glance_url']},
        # By virt_type the driver connects to qemu:///system, which the fake libvirt accepts.
        'libvirt': {'virt_type': 'qemu', 'images_type': 'flat'},
        'oslo_concurrency': {'lock_path': os.path.join(state, 'lock')},
    }


def _render(sections: Sections) -> str:
    lines = []
    for name, options in sections.items():
        lines.append('[%s]' % name)
        for option, value in options.items():
            values = value if isinstance(value, list) else [value]
            lines += ['%s = %s' % (option, one) for one in values]
    return '\n'.join(lines) + '\n'
