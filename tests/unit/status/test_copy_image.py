# SPDX-License-Identifier: Apache-2.0
"""May the configured credentials have images copied?"""

import ddt

from multistore_hooks.cli import session
from multistore_hooks.glance_api import api
from multistore_hooks.status.checks import ceph
from multistore_hooks.status.checks import copy_image
from multistore_hooks.status.facts import live_glance
from tests.unit.status import base


class _Connection:
    """Responses a copy with an error."""

    def __init__(self, status, text=''):
        self.images = self
        self._error = api.error_for(status, text) if status else None

    def copy(self, image_id, stores):
        if self._error is not None:
            raise self._error


@ddt.ddt
class MayCopyTest(base.CheckCase):

    @ddt.data((403, 'HTTP 403 Forbidden', live_glance.NO),
              (409, 'Store for identifier %s not found' % live_glance.NO_STORE, live_glance.YES),
              (409, 'Image has active task', live_glance.UNKNOWN), (413, 'quota', live_glance.UNKNOWN),
              (400, 'Unknown import method', live_glance.UNKNOWN), (None, '', live_glance.UNKNOWN))
    @ddt.unpack
    def test_response_by_the_refusal(self, status, text, expected):
        self.assertEqual(expected, live_glance.may_copy(_Connection(status, text), 'id')[0])

    def test_no_store_can_have_the_name_in_the_request(self):
        # enabled_backends is a list of NAME:TYPE.
        self.assertIn(':', live_glance.NO_STORE)


@ddt.ddt
class PolicyTest(base.CheckCase):

    def rule(self, policy, name='policy.yaml'):
        self.file(name, policy)
        return copy_image.copy_rule(self.glance('[oslo_policy]\npolicy_file = %s\n' % name))

    @ddt.data(('copy_image: ""\n', ''), ('{"copy_image": "role:member"}', 'role:member'),
              ('"site": "role:a"\n"copy_image": "role:admin or rule:site"\n', 'role:admin or (role:a)'),
              ('get_image: ""\n', None), ('- a list\n', None), ('{ broken', None), ('', None))
    @ddt.unpack
    def test_text_of_the_rule(self, policy, expected):
        self.assertEqual(expected, self.rule(policy))

    def test_rules_that_refer_to_each_other_for_ever(self):
        self.assertIn('rule:b', self.rule('a: "rule:b"\nb: "rule:a"\ncopy_image: "rule:a"\n'))

    def test_folder_of_policies_comes_after_the_file(self):
        self.file('policy.d/10.yaml', 'copy_image: "role:late"\n')
        self.assertEqual('role:late', self.rule('copy_image: "role:early"\n'))

    @ddt.data('', '@', 'role:admin or service_roles:service')
    def test_service_token_is_enough(self, rule):
        self.texts(copy_image.decide_service_token(rule, 'here', 'file'), 0)

    @ddt.data('role:admin', '!', 'rule:context_is_admin')
    def test_service_token_is_not_enough(self, rule):
        text = self.texts(copy_image.decide_service_token(rule, 'here', 'file'), 2)
        self.assertIn('no service token satisfies', text)

    def test_default_policy_is_for_administrators(self):
        self.assertIn('default is administrators only',
                      self.texts(copy_image.decide_service_token(None, 'here', '/etc/policy.yaml'), 2))

    def test_without_glance_s_files_it_cannot_be_determined(self):
        self.assertIn('cannot determine',
                      self.texts(copy_image.decide_service_token(None, 'here', None), 1))


class NovaConnectionTest(base.CheckCase):

    CREDENTIALS = ('[multistore_hooks]\nauth_type = admin_token\nendpoint = http://catalog\ntoken = t\n'
                   '[glance]\n')

    def endpoint(self, text):
        return copy_image.connection_of(self.nova(self.CREDENTIALS + text), 'multistore_hooks').endpoint()

    def test_glance_is_the_one_that_nova_uses(self):
        self.assertEqual('http://site', self.endpoint('endpoint_override = http://site/v2\n'))
        self.assertEqual('http://first', self.endpoint('api_servers = http://first,http://second\n'))
        self.assertEqual('http://catalog', self.endpoint(''))

    def test_credentials_that_are_not_complete_name_the_file(self):
        nova = self.nova('[multistore_hooks]\nauth_type = password\n')
        error = self.assertRaises(session.WrongConfiguration, copy_image.connection_of, nova,
                                  'multistore_hooks')
        self.assertIn('[multistore_hooks] in %s' % nova.files[0], str(error))

    def test_type_of_credentials_that_nobody_knows(self):
        nova = self.nova('[multistore_hooks]\nauth_type = none_such\n')
        error = self.assertRaises(session.WrongConfiguration, copy_image.connection_of, nova,
                                  'multistore_hooks')
        self.assertIn('none_such', str(error))


class EnabledTest(base.CheckCase):

    NOVA = '[libvirt]\nimages_type = rbd\nimages_rbd_glance_store_name = dcn1\n'

    def check(self, **given):
        return copy_image.check_copy_image(self.facts(**given))

    def test_missing_is_a_failure_where_computes_want_it_and_a_warning_elsewhere(self):
        cloud = base.Responses(methods=('glance-direct',))
        self.assertIn('has no copy-image; it has: glance-direct',
                      self.texts(self.check(nova=self.nova(self.NOVA), cloud=cloud), 2))
        self.texts(self.check(cloud=cloud), 1)

    def test_file_says_so_without_a_request(self):
        glance = self.glance('[DEFAULT]\nenabled_import_methods = [glance-direct]\n')
        self.assertIn('copy-image is not enabled',
                      self.texts(self.check(nova=self.nova(self.NOVA), glance=glance), 2))


@ddt.ddt
class RightsTest(base.CheckCase):
    """What the credentials that will be used may do."""

    NOVA = EnabledTest.NOVA
    IMAGE = {'id': 'i', 'status': 'active', 'disk_format': 'raw', 'container_format': 'bare'}
    YES, NO = api.error_for(409, live_glance.NO_STORE), api.error_for(403, 'forbidden by policy')
    UNKNOWN = api.error_for(500, 'broken')

    def check(self, nova='', operator=None, service=None, images=(IMAGE,), policy=None):
        """Check; the errors are those that Glance gives to the operator and to Nova's own credentials."""
        def connection(error):
            made = _Connection(None)
            made._error, made.source = error, 'admin-openrc'
            return made

        cloud = base.Responses(images=images)
        cloud.connection = connection(operator or self.YES)
        self.asked = []

        def connection_of(conf, group):
            self.asked.append(group)
            if isinstance(service, session.CloudError):
                raise service
            return connection(service)

        self.patch(copy_image, 'connection_of', connection_of)
        glance = None
        if policy is not None:
            self.file('policy.yaml', policy)
            glance = self.glance('[DEFAULT]\nenabled_import_methods = [copy-image]\n'
                                 '[oslo_policy]\npolicy_file = policy.yaml\n')
        return copy_image.check_copy_image(self.facts(nova=self.nova(nova), cloud=cloud, glance=glance))

    @ddt.data((YES, 'may have images copied'), (NO, 'may not have images copied (policy copy_image)'),
              (UNKNOWN, 'may copy cannot be determined: '))
    @ddt.unpack
    def test_rights_of_the_operator_are_said_and_are_no_fault(self, error, words):
        self.assertRegex(self.texts(self.check(operator=error), 0),
                         'the credentials of admin-openrc ' + words.replace('(', r'\(').replace(')', r'\)'))

    @ddt.data(dict(IMAGE, status='queued'), dict(IMAGE, os_glance_import_task='t'),
              dict(IMAGE, disk_format=None), dict(IMAGE, container_format=None))
    def test_image_that_could_not_be_copied_anyway_is_not_used(self, image):
        self.assertIn('cannot be determined without an active image',
                      self.texts(self.check(images=[image]), 0))

    def test_without_a_compute_that_requests_copies_this_is_said(self):
        self.assertIn('no compute requests copies', self.texts(self.check(), 0))
        self.assertNotIn('no compute requests', self.texts(self.check(self.NOVA)))

    def test_token_of_a_user_is_refused_by_default(self):
        said = self.texts(self.check(self.NOVA), 2)
        self.assertIn('nothing but the token of the user who boots the server', said)
        self.assertIn('in nova.conf', said)

    def test_token_of_a_user_is_enough_where_the_policy_lets_everybody(self):
        self.assertIn('lets everybody copy', self.texts(self.check(self.NOVA, policy='copy_image: ""\n'), 0))
        self.texts(self.check(self.NOVA, policy='copy_image: "role:admin"\n'), 2)

    @ddt.data((YES, 0, 'the credentials in nova.conf may have images copied'),
              (NO, 2, 'the policy copy_image of Glance refuses these credentials'),
              (UNKNOWN, 1, 'cannot determine whether these credentials may request copies'),
              (session.WrongConfiguration(source='x', why='y'), 2, 'Correct the credentials'))
    @ddt.unpack
    def test_credentials_of_nova_are_tried(self, error, worst, words):
        nova = self.NOVA + '[multistore_hooks]\nauth_type = password\n'
        self.assertIn(words, self.texts(self.check(nova, service=error), worst))
        self.assertEqual(['multistore_hooks'], self.asked)

    def test_credentials_of_nova_cannot_be_tried_without_an_image(self):
        nova = self.NOVA + '[multistore_hooks]\nauth_section = keystone_authtoken\n'
        self.assertIn('Upload one, and check again',
                      self.texts(self.check(nova, service=self.YES, images=[]), 1))


class ClusterTest(base.CheckCase):

    NOVA = '[libvirt]\nimages_type = rbd\nimages_rbd_glance_store_name = dcn1\n'

    def decide(self, ours, theirs):
        site = ceph.Site('this compute', 'dcn1', 'images', 'images_rbd_glance_store_name',
                         '[multistore_hooks] glance_rbd_pool', 'images_rbd_ceph_conf')
        return ceph.decide(site, ceph.Cluster(ours, None, 'here'), theirs)

    def test_same(self):
        self.texts(self.decide('A', ceph.Cluster('A', 'images', 'there')), 0)

    def test_other_cluster(self):
        text = self.texts(self.decide('A', ceph.Cluster('B', 'images', 'there')), 2)
        self.assertIn("names the store 'dcn1', which is in the cluster B (there), but this compute is in A "
                      '(here)', text)

    def test_other_pool(self):
        text = self.texts(self.decide('A', ceph.Cluster('A', 'glance', 'there')), 2)
        self.assertIn("[multistore_hooks] glance_rbd_pool: is 'images'", text)

    def test_not_known_is_not_wrong(self):
        self.assertIn('cannot determine', self.texts(self.decide('A', ceph.Cluster(None, None, 'why')), 1))

    def test_a_finding_names_the_option_in_its_file(self):
        conf = self.file('ceph.conf', '[global]\nfsid = A\nmon host = 127.0.0.1:1\n')
        nova = self.nova(self.NOVA + 'images_rbd_ceph_conf = %s\n' % conf)
        properties = {'fsid': 'B', 'pool': 'glance'}
        cloud = base.Responses(details={'dcn1': {'type': 'rbd', 'properties': properties}})
        text = self.texts(ceph.check_cluster(self.facts(nova=nova, cloud=cloud)), 2)
        self.assertIn("nova.conf, [libvirt] images_rbd_glance_store_name: names the store 'dcn1'", text)
        self.assertIn("nova.conf, [multistore_hooks] glance_rbd_pool: is 'images'", text)
        self.assertIn('nova.conf, [libvirt] images_rbd_ceph_conf.', text)

    def test_store_that_nobody_uses_since_disks_are_files(self):
        nova = self.nova('[libvirt]\nimages_rbd_glance_store_name = dcn1\n')
        self.assertIn('has no effect', self.texts(ceph.check_cluster(self.facts(nova=nova)), 2))

    def test_glance_s_word_comes_first_then_an_image_s_location(self):
        details = {'dcn1': {'type': 'rbd', 'properties': {'fsid': 'A', 'pool': 'p'}}}
        images = [{'id': 'i', 'stores': 'dcn1,dcn10', 'locations': [
            {'url': 'rbd://X/other/i/snap', 'metadata': {'store': 'dcn10'}},
            {'url': 'rbd://B/q/i/snap', 'metadata': {'store': 'dcn1'}}]}]
        found = ceph.of_store(self.facts(cloud=base.Responses(details=details, images=images)), 'dcn1')
        self.assertEqual(('A', 'p'), found[:2])
        found = ceph.of_store(self.facts(cloud=base.Responses(images=images)), 'dcn1')
        self.assertEqual(('B', 'q'), found[:2])

    def test_direct_url_counts_where_the_image_is_in_one_store_only(self):
        image = {'id': 'i', 'stores': 'dcn1,dcn10', 'direct_url': 'rbd://B/q/i/snap'}
        self.assertIsNone(ceph.of_store(self.facts(cloud=base.Responses(images=[image])), 'dcn1').fsid)
        image['stores'] = 'dcn1'
        self.assertEqual('B', ceph.of_store(self.facts(cloud=base.Responses(images=[image])), 'dcn1').fsid)

    def test_fsid_that_ceph_conf_names_where_the_cluster_cannot_be_reached(self):
        path = self.file('ceph.conf', '[global]\n  fsid = A-B\n  mon host = 127.0.0.1:1\n  flag\n')
        found = ceph.cluster_of(path, None)
        self.assertEqual('A-B', found.fsid)
        self.assertIn('the cluster was not reached', found.how)

    def test_ceph_conf_that_is_not_there(self):
        found = ceph.cluster_of(self.folder + '/none.conf', None)
        self.assertIsNone(found.fsid)
        self.assertIn('none.conf', found.how)
