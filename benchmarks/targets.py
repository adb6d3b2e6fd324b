# SPDX-License-Identifier: Apache-2.0
"""Whether a benchmark met its targets, and why not where that is known."""

import re
import statistics

#: Why targets were missed: (pattern of the benchmark, pattern of the row, reason).
REASONS = (
    ('boot_storm', r'last boot, relative to that',
     'The hosts, two Ceph clusters and Glance share the processors of one machine; the copies alone were '
     'measured without the hosts.'),
    ('boot_storm', r'N=\d+, 128 MiB: requests of a site while it waits',
     'A copy of 128 MiB takes a few seconds. The first polls, which follow one another closely, are then a '
     'large part of all; with 1,024 MiB the target is met.'),
    ('many_sites', r'Glance killed while writing: clones',
     'Glance cannot write over what it left unfinished at one site, and this library removes nothing that it '
     'did not write: an error names the command. With site_images the site makes its own.'),
    ('many_sites', r'copy of 600 s, turn of 0 s: longest wait',
     'It is not the turn: a copy of 600 s that had begun met its own limit, as in stock.'),
    ('overhead', r'snapshot of .* through the driver',
     'The hook asks Glance for its stores before the upload, and reads the record after it: about 50 ms in '
     'all, whatever the size.'),
    ('site_images_raw', r'two sites at once to one alone',
     'Glance imports an image into one store at a time: the copy for the second site begins when the first '
     'one has ended. With site_images = only, or site_image_after = 0, no site waits for another.'),
    (r'site_images_(qcow2|refused|single|train)', r'two sites at once to one alone',
     'Two sites make two downloads and twice the boots, and need twice the processor time, on the same two '
     'processors as one. Most of it is that of the computes (see its row).'),
    ('volume_store', r'local, random data, download$', 'The reason is not known.'),
    ('volume_store_guest', r'upload$',
     'One sample, on a machine with other load. In that kernel an upload is what Cinder takes to export the '
     'volume and os-brick to attach it, not its bytes: 32 MiB took about as long as 1 MiB, and the same '
     'steps take seconds more or less from one time to the next.'),
    ('volume_upload', r'MiB random: until',
     "Nearly all of the time is the cluster's own copy, which writes the same bytes to the same OSD as "
     "stock's: flatten with 5 to 40 requests at once and librbd's copy take as long. What the bytes alone "
     'take is in the row of rbd import.'),
)


def missed(result, row):
    """Return whether a row missed its target; False where the target is no number."""
    if row['target'] is None or not row['ours']:
        return False
    ours, target = statistics.median(row['ours']), row['target']
    if not isinstance(target, str):
        return row['ratio'] is not None and _beyond(row['ratio'], target, row['better'] == 'more')
    number = re.search(r'\d+(\.\d+)?', target)
    if target == 'ours: all':
        return ours < _boots(result, row)
    if target == 'ours: one for each site':
        return ours != result['settings']['sites']
    if target.startswith('one for each') or number is None:
        return False
    limit = float(number.group())
    if 'or the copy' in target:
        limit = max([limit] + [float(one) for one in re.findall(r'copy of (\d+) s', row['what'])])
    if re.match(r'ours: \d', target):
        return ours != limit
    value = ours if target.startswith('ours') or row['ratio'] is None else row['ratio']
    return _beyond(value, limit, 'at least' in target)


def _beyond(value, limit, more):
    value = float('%.3g' % value)  # as it is shown
    return value < limit if more else value > limit


def _boots(result, row):
    found = re.search(r'N=(\d+)|of (\d+) boots', row['what'])
    settings = result['settings']
    return int(found.group(1) or found.group(2)) if found else settings.get('hosts', settings.get('volumes'))


def reason(name, what):
    """Return why a target was missed, in words."""
    for benchmark, pattern, why in REASONS:
        if re.fullmatch(benchmark, name) and re.search(pattern, what):
            return why
    return 'The reason is not known.'
