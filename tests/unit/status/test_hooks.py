# SPDX-License-Identifier: Apache-2.0
"""Whether the hooks are active: by the configuration, and by what the service's interpreter finds."""

import os

import ddt

from multistore_hooks.patching import errors
from multistore_hooks.patching import runner
from multistore_hooks.status.checks import glanceclients
from multistore_hooks.status.checks import hooks
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from tests.unit.status import base

NOVA = '[DEFAULT]\ncompute_driver = %s\n'
OURS = NOVA % hooks.NOVA_DRIVER
#: A file whose time is this is older than every process of these tests.
OLD = 1000


class HooksCase(base.CheckCase):

    def interpreter(self, **packages):
        return host.Interpreter('/v/bin/python', '/v', '3.11', (self.folder,), packages)

    def service(self, interpreter=None, how='how', processes=()):
        return gather.Service(list(processes), interpreter, how)

    def installed(self, name):
        """Return a service whose interpreter finds the service and the library."""
        folder = os.path.join(self.folder, name)
        return self.service(self.interpreter(**{name: folder, 'multistore_hooks': '/m'}), 'runs it')

    def aged(self, conf):
        """Make the files of a configuration old."""
        for path in conf.files:
            os.utime(path, (OLD, OLD))
        return conf

    def facts_of(self, service, **confs):
        facts = self.facts(**confs)
        for name in confs:
            facts._services[name] = service
        return facts


@ddt.ddt
class NovaTest(HooksCase):

    def check(self, text, service=None):
        return hooks.check_nova(self.facts_of(service or self.service(), nova=self.aged(self.nova(text))))

    def driver(self, text='from multistore_hooks.nova.driver import LibvirtDriver\n'):
        os.utime(self.file('nova/virt/multistore.py', text), (OLD, OLD))

    def test_without_a_file_it_is_skipped(self):
        self.assertTrue(hooks.check_nova(self.facts())[0].skipped)

    @ddt.data('', NOVA % 'libvirt.LibvirtDriver')
    def test_driver_of_nova_itself_is_a_warning_that_says_how_to_change_it(self, text):
        said = self.texts(self.check(text), 1)
        self.assertIn("Nova's own driver runs, without the hooks", said)
        self.assertIn('Set it to multistore.LibvirtDriver after: multistore-hooks patch apply nova', said)

    @ddt.data('snapshot_store', 'auth_type', 'auth_section')
    def test_option_of_ours_that_no_service_reads_is_a_failure_that_names_it(self, option):
        self.assertIn('[multistore_hooks] %s:' % option,
                      self.texts(self.check('[multistore_hooks]\n%s = x\n' % option), 2))

    def test_driver_of_another_hypervisor_is_a_warning(self):
        self.assertIn("is 'ironic.IronicDriver': the hooks are for the libvirt driver",
                      self.texts(self.check(NOVA % 'ironic.IronicDriver'), 1))

    def test_interpreter_that_is_not_known_is_not_judged(self):
        self.assertIn('cannot determine whether nova-compute finds the driver: it runs in a container',
                      self.texts(self.check(OURS, self.service(how='it runs in a container')), 1))

    def test_driver_that_the_interpreter_finds_passes_and_names_the_interpreter(self):
        self.driver()
        self.assertIn('nova-compute loads multistore.LibvirtDriver with /v/bin/python (runs it)',
                      self.texts(self.check(OURS, self.installed('nova')), 0))

    def test_driver_whose_patch_is_not_applied_is_a_failure(self):
        self.assertIn('the patch is not applied', self.texts(self.check(OURS, self.installed('nova')), 2))

    def test_process_that_is_older_than_the_driver_is_to_be_restarted(self):
        service = self.installed('nova')
        self.driver()
        for started, elsewhere, worst in ((OLD - 10, False, 1), (OLD + 10, False, 0), (OLD - 10, True, 0)):
            process = host.Process(7, 'nova-compute', '/p', started, elsewhere, '')
            said = self.texts(self.check(OURS, service._replace(processes=[process])), worst)
            self.assertEqual(bool(worst), 'Restart nova-compute' in said, said)


@ddt.ddt
class CinderTest(HooksCase):

    MANAGER = '[DEFAULT]\nvolume_manager = %s\n' % hooks.MANAGER
    API = '[DEFAULT]\nvolume_api_class = %s\n' % hooks.API

    def check(self, text, service=None):
        cinder = self.aged(self.cinder(text))
        return hooks.check_cinder(self.facts_of(service or self.service(), cinder=cinder))

    def patched(self, state):
        """Let the patch of the manager be in a state, or raise an error."""
        self.requests = []

        def status(a_runner):
            if isinstance(state, Exception):
                raise state
            return runner.Report(*[state if field == 'state' else '' for field in runner.Report._fields])

        def request(*args):
            self.requests.append(args)

        self.patch(hooks.runner.Runner, '__init__', lambda _self, _request: None)
        self.patch(hooks.runner.Runner, 'status', status)
        self.patch(hooks.runner, 'Request', request)

    def test_without_a_file_it_is_skipped(self):
        self.assertTrue(hooks.check_cinder(self.facts())[0].skipped)

    @ddt.data((MANAGER, 0), (API, 1))  # the API class alone places no upload
    @ddt.unpack
    def test_class_of_ours_is_found_by_the_interpreter(self, text, worst):
        self.assertIn('found by /v/bin/python (runs it)',
                      self.texts(self.check(text, self.installed('cinder')), worst))

    @ddt.data(MANAGER, MANAGER + API[len('[DEFAULT]\n'):])
    def test_class_of_ours_without_the_library_is_a_failure_that_says_how_to_install(self, text):
        service = self.service(self.interpreter(cinder='/c'))
        said = self.texts(self.check(text, service), 2)
        self.assertEqual(1 + ('api' in text), said.count('/v/bin/python (how) has no multistore_hooks'))
        self.assertIn(hooks.INSTALL % '/v/bin/python', said)

    def test_interpreter_that_is_not_known_is_not_judged(self):
        self.assertIn('cannot determine whether cinder finds the class: no idea',
                      self.texts(self.check(self.MANAGER, self.service(how='no idea')), 1))

    def test_manager_of_cinder_itself_is_a_warning_and_with_our_option_a_failure(self):
        self.assertIn('and the patch is unknown from here', self.texts(self.check(''), 1))
        said = self.texts(self.check('[multistore_hooks]\nupload_store = s\n'), 2)
        self.assertIn('not placed, and [multistore_hooks] upload_store has no effect', said)
        self.assertIn('Set it to %s' % hooks.MANAGER, said)

    def test_manager_of_the_site_gets_another_advice(self):
        said = self.texts(self.check('[DEFAULT]\nvolume_manager = site.Manager\n'), 1)
        self.assertIn('Derive your class from %s, or: multistore-hooks patch apply cinder' % hooks.MANAGER,
                      said)

    def test_patch_stands_for_the_manager(self):
        self.patched(runner.APPLIED)
        service = self.installed('cinder')
        self.assertIn('found by /v/bin/python', self.texts(self.check('', service), 0))
        self.assertEqual([('cinder', self.folder, 'manager', None)], self.requests)
        self.patched(runner.NOT_APPLIED)
        self.assertIn('the patch is not-applied', self.texts(self.check('', service), 1))

    @ddt.data(errors.BadInput('x'), OSError('y'))
    def test_patch_that_cannot_be_read_is_unknown(self, error):
        self.patched(error)
        self.assertIn('the patch is unknown from here',
                      self.texts(self.check('', self.installed('cinder')), 1))

    def test_interpreter_without_cinder_has_no_patch(self):
        self.assertEqual('', hooks.patch_state(self.service(self.interpreter())))

    def test_without_the_api_the_findings_say_who_detects_a_wrong_store(self):
        said = self.texts(self.check(self.MANAGER, self.installed('cinder')), 0)
        self.assertIn('the volume service detects a wrong store', said)
        self.assertNotIn('the volume service detects',
                         self.texts(self.check(self.API, self.installed('cinder'))))


@ddt.ddt
class GlanceclientTest(HooksCase):

    def check(self, version, **confs):
        if version:
            self.file('python_glanceclient-%s.dist-info/METADATA' % version,
                      'Metadata-Version: 2.1\nName: python-glanceclient\nVersion: %s\n' % version)
        service = self.service(self.interpreter())
        return glanceclients.check_glanceclient(self.facts_of(service, **confs))

    @ddt.data(('2.17.0', 0), ('2.16.9', 2), ('4.9', 0), (None, 2))
    @ddt.unpack
    def test_hooks_need_the_version_that_they_are_tested_with(self, version, worst):
        for confs in ({'nova': self.nova(OURS)}, {'cinder': self.cinder(CinderTest.MANAGER)}):
            self.texts(self.check(version, **confs), worst)

    @ddt.data(('2.17.0', 2), ('3.0.0', 0))
    @ddt.unpack
    def test_copy_of_nova_itself_needs_a_newer_one(self, version, worst):
        nova = self.nova('[libvirt]\nimages_type = rbd\nimages_rbd_glance_store_name = s\n')
        said = self.texts(self.check(version, nova=nova), worst)
        self.assertEqual(bool(worst), 'images_rbd_glance_store_name' in said, said)

    def test_nothing_is_needed_by_services_without_the_hooks(self):
        self.assertIn('nothing in the given files needs one',
                      self.texts(self.check(None, nova=self.nova(''), cinder=self.cinder('')), 0))

    def test_interpreter_that_is_not_known_is_not_judged(self):
        facts = self.facts_of(self.service(how='no idea'), nova=self.nova(OURS))
        self.assertIn('cannot be determined: no idea', self.texts(glanceclients.check_glanceclient(facts), 0))
