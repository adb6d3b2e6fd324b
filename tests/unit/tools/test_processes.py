# SPDX-License-Identifier: Apache-2.0
"""Processes of the lab, the tools and the benchmarks are started in one way."""

import os
import re

import testtools

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
#: What lab.processes itself is made of, and the reasons of the others.
STARTERS = {
    'lab/processes.py': 'by lab.forks',
    'lab/forks.py': 'forks what has its imports done',
    'lab/guard.py': 'starts what outlives this process, to end the others',
    'lab/gate/__main__.py': 'a cloud that is kept outlives it',
    'lab/gate/programs/init.py': 'is the first process of a namespace, which ends with it',
    'lab/kernel.py': 'starts a kernel, which is killed when its time is over',
    'lab/volume_store/rtstool.py': 'is a server of commands in a guest, which ends with that',
}
STARTS = re.compile(r'\bPopen\(|\bforks\.popen\(|\bos\.fork\b|\bos\.system\b|\bos\.spawn|\bmultiprocessing\b')


class OneWayTest(testtools.TestCase):

    def test_nothing_else_starts_a_process_that_stays(self):
        found = set()
        for top in ('lab', 'tools', 'benchmarks'):
            for folder, _folders, names in os.walk(os.path.join(ROOT, top)):
                for name in names:
                    if name.endswith('.py'):
                        path = os.path.join(folder, name)
                        with open(path, encoding='utf-8') as stream:
                            if STARTS.search(stream.read()):
                                found.add(os.path.relpath(path, ROOT))
        self.assertEqual(set(STARTERS), found)
