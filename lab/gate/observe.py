# SPDX-License-Identifier: Apache-2.0
"""What the services did, seen from outside: Glance's requests, disks on Ceph."""

import json
import os
import typing

from lab.gate import api

# Not every release has the tasks of an image in its API, or the image in the table of the tasks.
_COPIES = ("glance.tasks JOIN glance.task_info ON task_info.task_id = tasks.id"
           " AND tasks.type = 'api_image_import'")
_IMAGE = "JSON_VALUE(task_info.input, '$.image_id')"


class Meter:
    """Counts requests to Glance and bytes from now on; those of the gate itself do not count."""

    def __init__(self, cloud: typing.Any) -> None:
        self._cloud = cloud
        self._path = cloud.services.record('glance')
        self._from = os.path.getsize(self._path) if os.path.exists(self._path) else 0
        self._copied = copied(cloud)

    def entries(self) -> typing.List[api.Json]:
        """Return the services' requests that have ended since."""
        if not os.path.exists(self._path):
            return []
        with open(self._path, encoding='utf-8') as stream:
            stream.seek(self._from)
            entries = [json.loads(line) for line in stream if line.endswith('\n')]
        return [entry for entry in entries if not entry['agent'].startswith(api.AGENT)]

    def downloads(self, image_id: str) -> int:
        """Return how often an image was downloaded since; one byte tells only whether it may be."""
        return sum(entry['method'] == 'GET' and entry['path'].endswith('/%s/file' % image_id)
                   and entry['out'] > 1 for entry in self.entries())

    def read(self) -> typing.Tuple[int, int]:
        """Return how many requests, and how many bytes: in their bodies, and copied by Glance."""
        entries = self.entries()
        return len(entries), sum(entry['in'] + entry['out'] for entry in entries) + (
            copied(self._cloud) - self._copied)


def copied(cloud: typing.Any) -> int:
    """Return the bytes of all copies between stores that were requested of Glance."""
    return int(cloud.mariadb.execute(
        "SELECT COALESCE(SUM(images.size), 0) FROM %s JOIN glance.images ON images.id = %s"
        % (_COPIES, _IMAGE)).strip())


def copies(cloud: typing.Any, image_id: str) -> typing.List[api.Json]:
    """Return the tasks that copied, or copy, an image."""
    lines = cloud.mariadb.execute(
        "SELECT tasks.id, tasks.status FROM %s WHERE %s = '%s'" % (_COPIES, _IMAGE, image_id))
    return [dict(zip(('id', 'status'), line.split('\t'))) for line in lines.splitlines()]


def is_clone(cloud: typing.Any, site: str, disk: str) -> bool:
    """Return whether a disk, pool/name, is a clone; else it is a flat copy."""
    return 'parent' in json.loads(cloud.clusters[site].rbd('info', '--format', 'json', disk))


def disks(cloud: typing.Any, site: str, pool: str) -> typing.Set[str]:
    """Return the names of what is in a pool of a site's cluster."""
    return set(cloud.clusters[site].rbd('ls', pool).split())
