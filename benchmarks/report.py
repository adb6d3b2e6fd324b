# SPDX-License-Identifier: Apache-2.0
"""What all benchmarks share: samples in, a table and a JSON file out."""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'results')
VERSIONS = ('glance', 'glance-store', 'os-brick', 'nova', 'cinder', 'python-glanceclient')


class Report:
    """The results of one benchmark.

    :param name: of the benchmark, and of its JSON file.
    :param settings: what it was run with.
    """

    def __init__(self, name, **settings):
        self.name, self.settings, self.rows = name, settings, []
        #: Of the services, where they are not those of this environment.
        self.versions = {name: _version(name) for name in VERSIONS}

    def add(self, what, unit, stock, ours, target=None, better='less'):
        """Add one figure: samples of stock code and of ours, taken in turn on the same services.

        :param target: the ratio of the medians, ours to stock, that is wanted, or None.
        """
        row = {'what': what, 'unit': unit, 'stock': list(stock), 'ours': list(ours), 'target': target,
               'better': better, 'ratio': None}
        if stock and ours and statistics.median(stock):
            row['ratio'] = statistics.median(ours) / statistics.median(stock)
        self.rows.append(row)
        say(self._line(row))

    def finish(self, path=None):
        """Print the table and write the JSON file; return its path."""
        settings = ', '.join('%s=%s' % item for item in sorted(self.settings.items()))
        print('\n%s, %s' % (self.name, settings))
        print('load of the machine at the end: %.1f on %d processors' % (
            os.getloadavg()[0], os.cpu_count()))
        for row in self.rows:
            print(self._line(row))
        path = path or os.path.join(RESULTS, self.name + '.json')
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as stream:
            json.dump({'name': self.name, 'settings': self.settings, 'rows': self.rows,
                       'date': datetime.date.today().isoformat(), 'load': os.getloadavg(),
                       'python': platform.python_version(), 'processors': os.cpu_count(),
                       'versions': self.versions}, stream, indent=1)
            stream.write('\n')
        return path

    @staticmethod
    def _line(row):
        def figure(samples):
            if not samples:
                return '-'
            return '%.4g (%.4g-%.4g)' % (statistics.median(samples), min(samples), max(samples))
        ratio = '' if row['ratio'] is None else 'ratio %.3f' % row['ratio']
        target = '' if row['target'] is None else 'target %s' % row['target']
        return '%-44s %-6s stock %-26s ours %-26s %-12s %s' % (
            row['what'], row['unit'], figure(row['stock']), figure(row['ours']), ratio, target)


def arguments(description, **defaults):
    """Read a benchmark's command line: --json FILE, and an option for each default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    for name, default in defaults.items():
        parser.add_argument('--' + name, type=type(default), default=default,
                            help='default: %(default)s')
    return parser.parse_args()


def say(text):
    """Tell of progress."""
    print(text, file=sys.stderr, flush=True)


def _version(name):
    from importlib import metadata  # Python 3.8 and later
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
