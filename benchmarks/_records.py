# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks._records DATABASE < RECORDS``: image records, written with Glance's own models.

Ten thousand uploads would take an hour. Glance serves the records as it does those of its own uploads.
RECORDS is a JSON list of images as Glance shows them, each with a dict ``urls`` of its stores.
"""

import datetime
import json
import sys

from glance.db.sqlalchemy import models
import sqlalchemy

#: What of a record is a column of its table.
COLUMNS = ('id', 'name', 'disk_format', 'container_format', 'size', 'status', 'visibility', 'owner')


def _time(text):
    return datetime.datetime.strptime(text, '%Y-%m-%dT%H:%M:%SZ')


def write(database, records):
    """Write all of them in one transaction."""
    rows = {models.Image: [], models.ImageLocation: [], models.ImageTag: [], models.ImageProperty: []}
    for record in records:
        made = {'created_at': _time(record['created_at']), 'updated_at': _time(record['created_at']),
                'deleted': False}
        rows[models.Image].append(dict({name: record[name] for name in COLUMNS}, **made))
        for store, url in record['urls'].items():
            rows[models.ImageLocation].append(dict(
                made, image_id=record['id'], value=url, meta_data={'store': store}, status='active'))
        for tag in record['tags']:
            rows[models.ImageTag].append(dict(made, image_id=record['id'], value=tag))
        for name, value in record['properties'].items():
            rows[models.ImageProperty].append(dict(made, image_id=record['id'], name=name, value=value))
    with sqlalchemy.create_engine('sqlite:///' + database).begin() as connection:
        for model, found in rows.items():
            connection.execute(sqlalchemy.insert(model.__table__), found)


if __name__ == '__main__':
    write(sys.argv[1], json.load(sys.stdin))
