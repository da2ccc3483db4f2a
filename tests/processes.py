"""Processes of this Python that tests start."""

import os
import signal
import subprocess
import sys

from utils import runtime

# A shell's background job ignores Ctrl-C, and its children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(*words, cwd=runtime.ROOT, **environment):
    """Start one that can import the tests."""
    paths = os.pathsep.join(map(str, (runtime.ROOT, runtime.ROOT / "tests")))
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words, **options):
    """Run one to its end; return its exit code, stdout and stderr."""
    process = start(*words, **options)
    out, err = process.communicate()
    return process.returncode, out, err
