# SPDX-License-Identifier: Apache-2.0
"""Runs a program of the project in the test's own process."""

import contextlib
import io
import logging


def run(main, *arguments):
    """Return the exit code, standard output and standard error of a program's main."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers = root.handlers[:]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(arguments))
            except SystemExit as done:  # argparse
                code = done.code or 0
    finally:
        # Each run adds one for its terminal. Hundreds of them would handle every line of the tests after.
        root.handlers = handlers
    return code, out.getvalue(), err.getvalue()
