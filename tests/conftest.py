"""Fixtures that all tests share, and the rule for tests on real data."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail: no test is timed, the drawn examples are no exception.
# "course" draws the same examples on every machine, so what passed here passes there; "explore"
# draws new ones each time: HYPOTHESIS_PROFILE=explore make test.
settings.register_profile("course", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "course"))

# Before anything imports TensorFlow: else its C++ side writes to stderr.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("MPLBACKEND", "agg")
# Some import Keras before `runtime.setup` chooses.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "data" / "raw"


def pytest_collection_modifyitems(items):
    """Skip tests on real data where there are none, and say so."""
    if RAW.is_dir() and any(RAW.iterdir()):
        return
    absent = pytest.mark.skip(reason="the real data are absent: data/raw is empty (make data)")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(absent)


@pytest.fixture(scope="module")
def ready():
    """Set Keras up, from seed 0, for the tests of one file."""
    from utils import runtime

    runtime.setup(0)


@pytest.fixture
def ask(capsys, monkeypatch):
    """Run ``predict.py``; return its exit code, stdout and stderr."""
    import predict
    from utils import runtime

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            runtime.run_command(predict.main)
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the repository."""
    return ROOT
