# SPDX-License-Identifier: Apache-2.0
"""The module ``libvirt`` of the lab: Nova's own fake of it, found by name on ``sys.path``.

Nova imports ``libvirt`` by name. The fake is a file of Nova's tests, which its wheels carry: this
module loads that file, and shows all its names as its own.
"""

from lab.nova import releases as _releases

globals().update({
    _name: _value for _name, _value in vars(_releases.load_fake_libvirt()).items()
    if not _name.startswith('_')
})
