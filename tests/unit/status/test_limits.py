# SPDX-License-Identifier: Apache-2.0
"""Room for copies: the staging directory, unified limits, and the quota of a project."""

import types

import ddt

from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import limits
from multistore_hooks.status.facts import live_glance
from tests.unit.status import base

MIB = 1 << 20
LARGE = {'id': 'large', 'status': 'active', 'size': 100 * MIB, 'owner': 'p1', 'stores': 'a,b'}
SMALL = dict(LARGE, id='small', size=MIB, stores='a')


def limit(**limits_of):
    """Return what Glance says for name=(usage, limit)."""
    return {name: {'usage': usage, 'limit': most} for name, (usage, most) in limits_of.items()}


class Connection:
    """Responds to GET /v2/info/usage."""

    source = 'the cloud'

    def __init__(self, body=None, error=None):
        self._body, self._error = body, error

    def run(self, _verb, function):
        if self._error:
            raise self._error
        return function(types.SimpleNamespace(http_client=types.SimpleNamespace(
            get=lambda path: (path, self._body))))


class StagingTest(base.CheckCase):

    def decide(self, free, largest=LARGE):
        return limits.decide_staging(free, largest, '/staging', 'here')

    def test_the_largest_image_does_not_fit_and_then_does(self):
        self.assertIn('/staging has 99.0 MiB free, which is too little for image large, the largest one '
                      '(100.0 MiB)', self.texts(self.decide(99 * MIB), 1))
        self.texts(self.decide(100 * MIB), 0)

    def test_without_images_the_free_space_is_shown(self):
        self.assertIn('has 5.0 MiB free', self.texts(self.decide(5 * MIB, None), 0))

    def check(self, folder, images=(LARGE, SMALL)):
        glance = self.glance('[DEFAULT]\nenabled_backends = a:file\n[os_glance_staging_store]\n'
                             'filesystem_store_datadir = %s\n' % folder)
        return limits.check_staging(self.facts(glance=glance, cloud=base.Responses(images=images)))

    def test_the_directory_is_the_one_that_glance_names_and_the_largest_image_counts(self):
        huge = dict(LARGE, id='huge', size=1 << 60)
        self.assertIn('image huge', self.texts(self.check(self.folder, [SMALL, huge, LARGE]), 1))
        self.texts(self.check(self.folder, [dict(huge, status='queued'), SMALL]), 0)

    def test_a_directory_that_is_not_here_is_not_judged(self):
        self.assertIn('cannot determine', self.texts(self.check(self.folder + '/none'), 1))

    def test_a_glance_with_one_store_copies_nothing(self):
        self.texts(limits.check_staging(self.facts(glance=self.glance(''))), 0)
        self.assertTrue(limits.check_staging(self.facts())[0].skipped)


@ddt.ddt
class LimitsTest(base.CheckCase):

    def decide(self, usage, largest=100 * MIB):
        return limits.decide_limits(usage, largest, 'the cloud')

    @ddt.data((dict(image_stage_total=(0, 99)), 1, 'accepts a copy of the largest image (100 MiB)'),
              (dict(image_stage_total=(0, 199)), 1, 'which counts twice if it belongs to this project'),
              (dict(image_stage_total=(1, 200)), 1, 'image_stage_total is 200 MiB, of which 1 are used'),
              (dict(image_stage_total=(0, 0)), 2, 'image_stage_total is 0 MiB'),
              (dict(image_count_uploading=(2, 2)), 1, 'a further copy of an image of this project fails'),
              (dict(image_count_uploading=(3, 2)), 1, 'a further copy fails'),
              (dict(image_count_uploading=(0, 0)), 2, 'image_count_uploading is 0'),
              (dict(image_size_total=(11, 10)), 1, 'uploads and snapshots are refused'),
              (dict(image_count_total=(10, 10)), 1, 'new images are refused'))
    @ddt.unpack
    def test_a_limit_that_is_reached(self, usage, worst, text):
        self.assertIn(text, self.texts(self.decide(limit(**usage)), worst))

    @ddt.data({}, dict(image_stage_total=(0, 200), image_count_uploading=(1, 2), image_size_total=(10, 10),
                       image_count_total=(9, 10)),
              dict(image_stage_total=(900, -1), image_count_uploading=(9, -1)))
    def test_limits_that_are_in_nobodys_way(self, usage):
        self.assertEqual([], self.decide(limit(**usage)))

    def check(self, connection, **given):
        cloud = base.Responses(images=[LARGE])
        cloud.connection = connection
        return limits.check_limits(self.facts(cloud=cloud, **given))

    def test_glance_reports_its_limit(self):
        tight = Connection({'usage': limit(image_stage_total=(0, 50))})
        reported = self.texts(self.check(tight), 1)
        self.assertIn('the limits of the project of the cloud: image_stage_total is 50 MiB', reported)
        self.assertIn('Raise the limit image_stage_total', reported)
        self.texts(self.check(Connection({'usage': {}})), 0)

    def test_a_glance_without_limits_and_one_that_fails(self):
        self.texts(self.check(Connection(error=api.error_for(404, 'no'))), 0)
        self.assertEqual({}, live_glance.usage(Connection(error=api.error_for(405, 'no'))))
        self.assertIn('cannot determine the limits of the project of the cloud: broken',
                      self.texts(self.check(Connection(error=api.error_for(500, 'broken'))), 1))

    def test_the_project_of_novas_own_credentials_is_checked_too(self):
        nova = self.nova('[multistore_hooks]\nauth_type = admin_token\nendpoint = http://127.0.0.1:1\n'
                         'token = t\n')
        reported = self.texts(self.check(Connection({'usage': {}}), nova=nova), 1)
        self.assertIn('the limits of the project of [multistore_hooks] in %s' % nova.files[0],
                      reported)

    def test_without_glance_it_is_skipped(self):
        self.assertTrue(limits.check_limits(self.facts())[0].skipped)


@ddt.ddt
class QuotaTest(base.CheckCase):

    def check(self, quota):
        cloud = base.Responses(images=[LARGE, SMALL, dict(SMALL, owner='p2')])
        cloud.connection = Connection({'usage': {}})
        glance = self.glance('[DEFAULT]\nuser_storage_quota = %s\n' % quota)
        return limits.check_limits(self.facts(cloud=cloud, glance=glance))

    def test_each_copy_counts(self):
        reported = self.texts(self.check('201 MB'), 1)
        self.assertIn('user_storage_quota: is 201.0 MiB for each project, and each copy of an image '
                      'counts', reported)
        self.assertIn('uploads and snapshots of 1 projects are refused (p1)', reported)

    @ddt.data('0', '202MB', '1 TB', '1gb', 'nonsense')
    def test_a_quota_that_is_not_used_up(self, quota):
        self.texts(self.check(quota), 0)
