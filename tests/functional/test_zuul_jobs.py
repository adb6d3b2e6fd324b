# SPDX-License-Identifier: Apache-2.0
"""The jobs of .zuul.yaml: by themselves, and merged with their parents where SERVICES_DIR has those.

With Zuul itself installed, by its own schema, too.
"""

import importlib.util
import os
import re
import unittest

import testtools

from tools import zuul_jobs

SERVICES_DIR = os.environ.get('SERVICES_DIR', '')
NO_CLONES = '' if SERVICES_DIR else 'SERVICES_DIR is not set: no clones of the parents'
PAGE = os.path.join(zuul_jobs.CHECKOUT, 'doc', 'source', 'contributor', 'zuul_jobs')
#: MiB of the image that tests boot from; as raw, where Glance converts it.
IMAGES = {'multistore-hooks-file-rbd': 950, 'multistore-hooks-two-rbd': 512}
CIRROS_MIB, VOLUME_MIB, OVERRIDE_MIB, BACKING_MIB = 112, 1024, 10000, 30720
MERGED_FROM_DEVSTACK = ('devstack-tempest', 'devstack-plugin-ceph-tempest-py3', 'nova-ceph-multistore',
                        'devstack-plugin-ceph-multinode-tempest-py3')


def read(*names):
    with open(os.path.join(zuul_jobs.CHECKOUT, *names), encoding='utf-8') as stream:
        return stream.read()


def concrete():
    """Return the jobs that are run."""
    return {name: job for name, job in zuul_jobs.own_jobs().items() if not job.get('abstract')}


def variables_of(name):
    """Return a job's variables with those of its parents in this repository."""
    jobs, chain = zuul_jobs.own_jobs(), []
    while name in jobs:
        chain.insert(0, jobs[name])
        name = jobs[name]['parent']
    return zuul_jobs.merged(chain)


class JobsTest(testtools.TestCase):
    """What needs no other repository."""

    def project(self):
        found, = [item['project'] for item in zuul_jobs.own() if 'project' in item]
        return found

    def test_every_job_is_in_check_and_those_that_vote_are_in_gate(self):
        pipelines = {}
        for pipeline in ('check', 'gate'):
            listed = [next(iter(job.items())) if isinstance(job, dict) else (job, {})
                      for job in self.project()[pipeline]['jobs']]
            pipelines[pipeline] = {name: options.get('voting', True) for name, options in listed
                                   if name.startswith('multistore-')}
        self.assertEqual(set(concrete()), set(pipelines['check']))
        self.assertEqual({name for name, votes in pipelines['check'].items() if votes},
                         set(pipelines['gate']))

    def test_the_plugin_has_the_name_that_devstack_clones_it_by(self):
        defined, = re.findall(r'^define_plugin (\S+)$', read('devstack', 'settings'), re.MULTILINE)
        for name in concrete():
            variables = variables_of(name)
            address = variables['devstack_plugins'][defined]
            self.assertEqual(defined, address.rsplit('/', 1)[1], name)
            for folder in variables['tempest_plugins']:
                self.assertEqual(defined, folder.split('/')[0], name)
                self.assertTrue(os.path.isfile(os.path.join(
                    zuul_jobs.CHECKOUT, folder.split('/', 1)[1], 'setup.cfg')), folder)

    def test_every_setting_is_one_that_the_plugin_knows(self):
        known = set(re.findall(r'MULTISTORE_[A-Z_]+', read('devstack', 'settings')))
        known.add('MULTISTORE_RAW_IMAGE_MIB')     # of the role multistore-raw-image
        for name, job in zuul_jobs.own_jobs().items():
            given = dict(variables_of(name).get('devstack_localrc', {}))
            for group in job.get('group-vars', {}).values():
                given.update(group.get('devstack_localrc', {}))
            for setting in given:
                if setting.startswith('MULTISTORE_'):
                    base = re.sub('_[a-z][a-z0-9_]*$', '_', setting)
                    self.assertTrue(setting in known or base in known, '%s: %s' % (name, setting))

    def test_every_playbook_and_role_is_there(self):
        for name, job in zuul_jobs.own_jobs().items():
            for key in ('pre-run', 'run', 'post-run'):
                paths = job.get(key, [])
                for path in [paths] if isinstance(paths, str) else paths:
                    self.assertTrue(os.path.isfile(os.path.join(zuul_jobs.CHECKOUT, path)), (name, path))
        for path in ('pre.yaml', 'upgrade.yaml'):
            for role in re.findall(r'^    - (multistore-\S+)$', read('playbooks', path), re.MULTILINE):
                self.assertTrue(os.path.isfile(os.path.join(
                    zuul_jobs.CHECKOUT, 'roles', role, 'tasks', 'main.yaml')), role)

    def test_the_page_has_every_job(self):
        self.assertEqual(sorted(concrete()), sorted(re.findall(
            r'^   \* - ``(\S+)``$', read(PAGE + '.rst').split('Why they fit')[0], re.MULTILINE)))
        self.assertEqual(list(concrete()), re.findall(r'^``(\S+)``\n-', read(PAGE + '.inc'), re.MULTILINE))

    def test_the_page_shows_what_each_job_sets(self):
        parts = re.split(r'^``(\S+)``\n-+$', read(PAGE + '.inc'), flags=re.MULTILINE)
        shown = dict(zip(parts[1::2], parts[2::2]))
        for name in concrete():
            for setting, value in variables_of(name)['devstack_localrc'].items():
                self.assertIn('\n    %s="%s"\n' % (setting, value), shown[name], name)

    def test_quota_and_disk_hold_what_tests_hold_as_the_page_shows(self):
        # An image in two stores, and an uploaded volume in two.
        parts = re.split(r'^``(\S+)``\n-+$', read(PAGE + '.inc'), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2]):
            quota = re.findall(r'GLANCE_LIMIT_IMAGE_SIZE_TOTAL="(\d+)"', text)
            needed = 2 * IMAGES.get(name, CIRROS_MIB) + 2 * VOLUME_MIB
            self.assertLessEqual(needed, int(quota[0]) if quota else OVERRIDE_MIB, name)
            tests, swap = [int(re.search(r'%s: (\d+)' % word, text).group(1))
                           for word in ('Tests at a time', 'Swap')]
            # With two volumes and two disks of each test.
            disk = tests * (needed + 4 * VOLUME_MIB)
            self.assertLess(disk, BACKING_MIB, name)
            row = [int(quota[0]) if quota else OVERRIDE_MIB, needed, tests, swap, disk]
            self.assertIn('   * - ``%s``\n' % name + ''.join('     - {:,}\n'.format(cell) for cell in row),
                          read(PAGE + '.rst'))
        self.assertIn(':-%d}' % OVERRIDE_MIB, read('devstack', 'override-defaults'))

    def test_devstack_plugin_ceph_comes_first(self):
        text = read(PAGE + '.inc')
        lines = re.findall(r'^    enable_plugin (\S+) ', text, re.MULTILINE)
        self.assertIn('devstack-plugin-ceph', lines)
        for at, name in enumerate(lines):
            if name == 'devstack-plugin-ceph':
                self.assertEqual('multistore-hooks', lines[at + 1])


@unittest.skipIf(NO_CLONES, NO_CLONES)
class ParentsTest(testtools.TestCase):
    """Merged with the parents."""

    def setUp(self):
        super().setUp()
        self.checkouts = zuul_jobs.Checkouts(SERVICES_DIR)

    def test_every_parent_is_there(self):
        for name in concrete():
            first = self.checkouts.chain(name)[0]
            names = [job['name'] for job in self.checkouts.chain(name)]
            self.assertIn('devstack-base', names, first)
            self.assertTrue(set(names) & set(MERGED_FROM_DEVSTACK), names)

    def test_the_page_is_what_the_parents_of_its_commits_come_to(self):
        commits = ', '.join('%s %s' % item for item in self.checkouts.commits().items())
        shown = read(PAGE + '.inc')
        if commits not in shown:
            self.skipTest('the page was made of other commits than %s' % commits)
        self.assertEqual(shown, zuul_jobs.page(self.checkouts))

    def test_no_parent_takes_a_setting_of_ours_back(self):
        for name in concrete():
            conf = zuul_jobs.local_conf(self.checkouts.role(), zuul_jobs.merged(self.checkouts.chain(name)))
            for setting, value in variables_of(name)['devstack_localrc'].items():
                self.assertIn('\n%s="%s"\n' % (setting, value), conf)
            # localrc alone counts for quotas, which are set before local.conf's other sections are read.
            quota = re.findall(r'^GLANCE_LIMIT_IMAGE_SIZE_TOTAL="(\d+)"', conf, re.MULTILINE)
            self.assertLessEqual(2 * IMAGES.get(name, CIRROS_MIB) + 2 * VOLUME_MIB,
                                 int(quota[0]) if quota else OVERRIDE_MIB, name)


@unittest.skipUnless(importlib.util.find_spec('zuul'), 'not installed here: zuul')
class SchemaTest(testtools.TestCase):
    """By the schema that Zuul itself reads jobs and projects with."""

    def setUp(self):
        super().setUp()
        from zuul import configloader
        self.schemas = {'job': configloader.JobParser.schema,
                        'project': configloader.ProjectParser(None).schema}

    def test_zuul_reads_jobs_and_project(self):
        for kind, schema in self.schemas.items():
            found = [item[kind] for item in zuul_jobs.own() if kind in item]
            self.assertTrue(found)
            for item in found:
                schema(item)

    def test_zuul_refuses_what_it_does_not_know(self):
        job = dict(zuul_jobs.own_jobs()['multistore-hooks-two-rbd'], tiemout=1)
        self.assertRaises(Exception, self.schemas['job'], job)  # noqa: H202, of a library that is not here
