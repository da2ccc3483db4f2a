"""The setup cell, run for real as Colab would: nothing cloned yet, two packages missing.

The environment is a new one, whose site-packages hold links to this environment's packages but
for the course itself and the packages that Colab lacks; those are served from a folder, and the
course's address is turned to a local repository by git's own ``insteadOf``. The text of the
cell is the notebooks', unchanged.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools import notebooks

LACKING = ("mtcnn", "optuna")
VERSION = "99.0"

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or sys.platform == "win32", reason="needs git, and symbolic links"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory, root):
    """A local repository with the working tree's helpers, tagged as the cell wants it."""
    folder = tmp_path_factory.mktemp("hosted") / "course.git"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "utils", folder / "utils", ignore=ignored)
    shutil.copy(root / "pyproject.toml", folder)
    tag = notebooks.setup_cell().split("--branch ")[1].split()[0]
    person = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*person, "commit", "--quiet", "--message", "the course"],
        [*person, "tag", tag],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with a wheel for each package that Colab lacks; empty but for its name."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in LACKING:
        information = f"{name}-{VERSION}.dist-info"
        files = {
            f"{name}/__init__.py": "",
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
            f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any",
        }
        record = "".join(f"{file},,\n" for file in [*files, f"{information}/RECORD"])
        with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as wheel:
            for file, content in {**files, f"{information}/RECORD": record}.items():
                wheel.writestr(file, content)
    return folder


@pytest.fixture
def bare(tmp_path):
    """A Python that has what Colab has: everything but the course and the lacking packages."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        ours = "facial_expression_classification" in entry.name
        lacking = entry.name.split("-")[0] in LACKING
        if not (ours or lacking or entry.name == "__pycache__" or (site / entry.name).exists()):
            (site / entry.name).symlink_to(entry)
    # What runs in the kernel: Colab's own module is there before the first cell.
    (site / "kernel.py").write_text(
        textwrap.dedent(
            """
            import importlib.util, json, sys, types
            from importlib import metadata
            from pathlib import Path
            from IPython.core.interactiveshell import InteractiveShell

            def versions():
                return {one.metadata["Name"]: one.version for one in metadata.distributions()}

            sys.path = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
            assert importlib.util.find_spec("utils") is None, "the course is there already"
            sys.modules["google.colab"] = types.ModuleType("google.colab")
            before = versions()
            shell = InteractiveShell.instance()
            for time in range(int(sys.argv[2])):
                shell.run_cell(Path(sys.argv[1]).read_text(), store_history=True).raise_error()
            shell.run_cell("from utils import runtime").raise_error()
            after = versions()
            facts = {
                "root": str(shell.user_ns["runtime"].ROOT),
                "folder": str(Path.cwd()),
                "new": {name: after[name] for name in after if after[name] != before.get(name)},
            }
            Path(sys.argv[3]).write_text(json.dumps(facts))
            """
        )
    )
    return environment / "bin" / "python"


def run_cell(python, address, wheels, folder, times=1):
    """Run the setup cell in a folder; return the finished process and what it left."""
    folder.mkdir(exist_ok=True)
    cell, facts = folder.parent / "cell.py", folder.parent / "facts.json"
    facts.unlink(missing_ok=True)
    cell.write_text(notebooks.setup_cell())
    kept = ("PATH", "LANG", "LD_LIBRARY_PATH", "KERAS_BACKEND")
    environment = {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HOME": str(folder.parent),
        "IPYTHONDIR": str(folder.parent / "ipython"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{address}.insteadOf",
        "GIT_CONFIG_VALUE_0": notebooks.repository(),
    }
    done = subprocess.run(
        [str(python), "-m", "kernel", str(cell), str(times), str(facts)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done, json.loads(facts.read_text()) if facts.exists() else {}


def test_setup_cell_clones_once_and_installs_only_what_is_lacking(bare, address, wheels, tmp_path):
    content = tmp_path / "content"
    done, facts = run_cell(bare, address, wheels, content, times=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert facts["root"] == facts["folder"] == str(content / "course")
    assert facts["new"] == dict.fromkeys(LACKING, VERSION)
    assert done.stdout.count("ready\n") == 2
    log = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"],
        cwd=content / "course",
        capture_output=True,
        text=True,
        check=True,
    )
    assert log.stdout.strip() == "true"

    # A restarted runtime begins in the first folder again, and finds the course there.
    (content / "course" / "mine.txt").write_text("a reader's own file")
    done, facts = run_cell(bare, address, wheels, content)
    assert done.returncode == 0, done.stdout + done.stderr
    assert facts["root"] == str(content / "course")
    assert facts["new"] == {}
    assert [path.name for path in content.iterdir()] == ["course"]
    assert (content / "course" / "mine.txt").exists()


def test_setup_cell_never_names_what_colab_ships():
    installs = [line for line in notebooks.setup_cell().splitlines() if "pip install" in line]
    named = [word for line in installs for word in line.split("install")[1].split()]
    assert [word for word in named if not word.startswith("-")] == list(LACKING)
    assert not {"-U", "--upgrade", "--force-reinstall"} & set(named)


@pytest.mark.parametrize("below", [".", "notebooks"])
def test_setup_cell_away_from_colab_finds_the_course_from_any_folder(root, below):
    # As the kernel translates the cell; its magics are not reached.
    script = TransformerManager().transform_cell(notebooks.setup_cell())
    done = subprocess.run(
        [sys.executable, "-c", script + "\nprint(runtime.ROOT)"],
        cwd=root / below,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ready", str(root)]
