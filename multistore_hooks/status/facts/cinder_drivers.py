# SPDX-License-Identifier: Apache-2.0
"""Which drivers of Cinder can carry the hook: as the Python that runs Cinder sees them.

Its Python imports the class and gives an object of it, for which no constructor was run, a class with a mixin
before its own: what ``multistore_hooks.cinder.driver`` does when cinder-volume starts.
"""

import subprocess
from typing import Dict
from typing import NamedTuple
from typing import Sequence

from multistore_hooks.status.facts import host

#: LATER: what carries it is made when cinder-volume starts, which then logs whether it does.
CARRIES, REFUSES, LATER, UNKNOWN = 'carries', 'refuses', 'later', 'unknown'
#: Seconds to import drivers: Cinder's modules are large.
_SECONDS = 120

# Whatever a driver's module prints goes to standard error.
_ASK = """
import importlib, json, sys, types
out, sys.stdout = sys.stdout, sys.stderr
try:
    importlib.import_module('cinder.objects').register_all()
except Exception:
    pass  # the drivers say what they lack
class Hook(object):
    def copy_volume_to_image(self, *args):
        pass
def verdict(path):
    module, _dot, name = path.rpartition('.')
    try:
        made = getattr(importlib.import_module(module), name)
    except Exception as error:
        return 'unknown', '%s: %s' % (type(error).__name__, error), False
    if not isinstance(made, type):
        return 'later', '', False
    if made.__new__ is not object.__new__:
        return 'later', '', False
    rbd = any(cls.__name__ == 'RBDDriver' and cls.__module__.endswith('.drivers.rbd') for cls in made.__mro__)
    if any(cls.__name__ == 'PlacesUploads' for cls in made.__mro__):
        return 'carries', '', rbd
    try:
        driver = object.__new__(made)
        driver.__class__ = types.new_class(made.__name__, (Hook, made))
    except TypeError as error:
        return 'refuses', str(error), rbd
    return 'carries', '', rbd
print(json.dumps({path: verdict(path) for path in sys.argv[1:]}), file=out)
"""


class Driver(NamedTuple):
    """What became of a driver."""

    kind: str
    #: Why it refuses, or why it is not known.
    why: str
    is_rbd: bool


def examine(python: str, paths: Sequence[str], pythonpath: str = '') -> Dict[str, Driver]:
    """Return for each class path whether it can carry the hook.

    :raises host.Undetermined: the interpreter does not say
    """
    try:
        report = host.run(python, pythonpath, _ASK, paths, _SECONDS)
        return {path: Driver(*report[path]) for path in paths}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise host.Undetermined('%s does not import them: %s' % (
            python, ' '.join(str(error).split()))) from error
