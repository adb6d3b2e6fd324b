# SPDX-License-Identifier: Apache-2.0
"""Which files of the package a value passes through, as an argument of their functions."""

import os
import sys

import multistore_hooks

PACKAGE = os.path.dirname(multistore_hooks.__file__)


def files_passed(value, function):
    """Call a function; return the files whose functions got the value as an argument meanwhile.

    Where an object knows the value, or a key has it as a part, it is the object or the key that is passed on.
    """
    found = set()

    def profile(frame, event, _argument):
        code = frame.f_code
        if event != 'call' or not code.co_filename.startswith(PACKAGE):
            return
        names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
        if any(frame.f_locals.get(name) == value for name in names):
            found.add(os.path.relpath(code.co_filename, PACKAGE))
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return sorted(found)
