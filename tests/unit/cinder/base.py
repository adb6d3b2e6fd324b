# SPDX-License-Identifier: Apache-2.0
"""What the unit tests of the Cinder seam share.

They run on light stand-ins of Cinder's classes (in ``standins``), and where Cinder is installed on Cinder's.
"""

import fixtures
from oslo_config import fixture as config_fixture

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_request  # noqa: F401  (registers the options)
from tests import clock
from tests import contract
from tests import fake_glance
from tests.unit import base
from tests.unit.cinder import REAL  # noqa: F401


class VolumeType:
    """A volume type, as Cinder's object looks."""

    def __init__(self, name, **extra_specs):
        self.name = name
        self.extra_specs = extra_specs


class Volume:
    """A volume, as Cinder's object looks to the hooks."""

    id, name = 'the volume', 'volume-1'
    status = 'available'
    size = 1
    encryption_key_id = None
    host, cluster_name, is_clustered = 'host@fast', None, False

    class model:
        previous_status = 'available'

    def __init__(self, volume_type=None, glance_metadata=None):
        self.volume_type = volume_type
        self.glance_metadata = glance_metadata

    @classmethod
    def naming(cls, store, name='gold', **more):
        """Return a volume whose type names a store."""
        return cls(VolumeType(name, **{'image_service:store_id': store}), **more)

    @classmethod
    def made_from(cls, image_id):
        """Return a volume without a type that was made from an image."""
        return cls(glance_metadata={'image_id': image_id})

    def obj_clone(self):
        return type(self)(self.volume_type, self.glance_metadata)

    def obj_reset_changes(self, fields):
        pass

    def conditional_update(self, values, expected):
        if self.status == expected['status']:
            self.status = values['status']


class Context:
    """A request's context."""

    def __init__(self, is_admin=False):
        self.is_admin = is_admin

    def update_store(self):
        """Have what is logged from here on carry this request's id."""


class TestCase(base.FakeGlanceTestCase):
    """A test with a fake Glance that stands for Cinder's, and a clock that passes no time."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config())
        self.clock = clock.Clock()
        self.cinder_images = image_client.CinderImages(self.call, self.call, clock=self.clock)
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_client.images_for',
                                             lambda context: self.cinder_images))

    def call(self, verb, function):
        """Call a function with a client of the fake, as Cinder's retry loop does."""
        adapter = fake_glance.SocketlessAdapter(self.glance)
        return contract.run_with(lambda: contract.session_client(
            'http://glance', contract.MEMBER, adapter))(verb, function)


class Calls:
    """Counts calls, of which one fails: before or after it took effect."""

    def __init__(self):
        self.count, self.fails_at, self.after, self.error = 0, None, False, None
        self.again, self.hang = False, None

    def fail(self, number, after, error, again=False, hang=None):
        """Let a call fail, counted from 1.

        :param again: all calls after it, too.
        :param hang: called before the error; lets time pass.
        """
        self.count, self.fails_at, self.after, self.error, self.again = 0, number, after, error, again
        self.hang = hang

    def wrap(self, function, *arguments):
        self.count += 1
        fails = self.fails_at is not None and (
            self.count == self.fails_at or self.again and self.count > self.fails_at)
        if fails and not self.after:
            self._raise()
        result = function(*arguments)
        if fails:
            self._raise()
        return result

    def _raise(self):
        if self.hang:
            self.hang()
        raise self.error


class Responses:
    """Stands for Cinder's client: each request gets the next response of a list.

    A response is a body, or an exception that is raised; the last one is repeated.
    """

    def __init__(self, **by_request):
        self.sent = []
        self._responses = {name: list(responses) for name, responses in by_request.items()}

    def run(self, verb, function):
        """Call a function as Cinder's retry loop does: once more after 503 and after a lost connection."""
        import glanceclient.exc
        for last in (False, True):
            try:
                return function(self)
            except (glanceclient.exc.HTTPServiceUnavailable, glanceclient.exc.CommunicationError):
                if last:
                    raise

    @property
    def http_client(self):
        return self

    def _next(self, method, path):
        name = '%s_%s' % (method, path.rstrip('/').split('/')[-1] if path.count('/') > 3 else 'image')
        self.sent.append(name)
        responses = self._responses[name]
        response = responses.pop(0) if len(responses) > 1 else responses[0]
        if isinstance(response, Exception):
            raise response
        return None, response

    def get(self, path, **options):
        return self._next('get', path)

    def patch(self, path, **options):
        return self._next('patch', path)

    def post(self, path, **options):
        return self._next('post', path)

    def delete(self, path, **options):
        return self._next('delete', path)


def record(status, **more):
    """Return an image's record as Glance shows it."""
    return dict({'id': 'x', 'status': status}, **more)
