"""The setup cell, run for real as Colab would: nothing cloned yet, three packages missing.

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
import zipfile
from pathlib import Path

import processes
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools import notebooks

LACKING = ("mtcnn", "onnxruntime", "optuna")
VERSION = "99.0"
#: What runs in the kernel: Colab's own module is there before the first cell.
KERNEL = """
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
for time in range(2):
    shell.run_cell(Path(sys.argv[1]).read_text(), store_history=True).raise_error()
shell.run_cell("from utils import runtime").raise_error()
new = {name: version for name, version in versions().items() if before.get(name) != version}
facts = {"root": str(shell.user_ns["runtime"].ROOT), "folder": str(Path.cwd()), "new": new}
Path(sys.argv[2]).write_text(json.dumps(facts))
"""


@pytest.fixture
def address(tmp_path, root):
    """A local repository with the working tree's code, tagged as the cell wants it."""
    folder = tmp_path / "hosted" / "course.git"
    for room in ("utils", "experiments", "tools"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / room, folder / room, ignore=ignored)
    shutil.copy(root / "pyproject.toml", folder)
    person = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    tag = notebooks.setup_cell().split("--branch ")[1].split()[0]
    commit = ["commit", "--quiet", "--message", "the course"]
    for command in (["init", "--quiet"], ["add", "--all"], commit, ["tag", tag]):
        subprocess.run(["git", *person, *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def wheels(tmp_path):
    """A folder with a wheel for each package that Colab lacks; empty but for its name."""
    for name in LACKING:
        about = f"{name}-{VERSION}.dist-info"
        files = {
            f"{name}/__init__.py": "",
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any",
        }
        files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
        (tmp_path / "wheels").mkdir(exist_ok=True)
        path = tmp_path / "wheels" / f"{name}-{VERSION}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file, content in files.items():
                wheel.writestr(file, content)
    return path.parent


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
    (site / "kernel.py").write_text(KERNEL)
    return environment / "bin" / "python"


def run_cell(python, address, wheels, folder):
    """Run the setup cell twice in a folder; return the finished process and what it left."""
    folder.mkdir(exist_ok=True)
    cell, facts = folder.parent / "cell.py", folder.parent / "facts.json"
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
    command = [str(python), "-m", "kernel", str(cell), str(facts)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(facts.read_text())


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("git") is None or sys.platform == "win32", reason="needs git, and symbolic links"
)
def test_setup_cell_clones_once_and_installs_only_what_is_lacking(bare, address, wheels, tmp_path):
    content = tmp_path / "content"
    said, facts = run_cell(bare, address, wheels, content)
    assert facts["root"] == facts["folder"] == str(content / "course")
    assert facts["new"] == dict.fromkeys(LACKING, VERSION)
    assert said.count("ready\n") == 2
    assert (content / "course" / ".git" / "shallow").exists()

    # A restarted runtime begins in the first folder again, and finds the course there.
    (content / "course" / "mine.txt").write_text("a reader's own file")
    _, facts = run_cell(bare, address, wheels, content)
    assert facts == {"root": str(content / "course"), "folder": facts["root"], "new": {}}
    assert [path.name for path in content.iterdir()] == ["course"]
    assert (content / "course" / "mine.txt").exists()


def test_setup_cell_never_names_what_colab_ships():
    installs = [line for line in notebooks.setup_cell().splitlines() if "pip install" in line]
    named = [word for line in installs for word in line.split("install")[1].split()]
    assert named == ["--quiet", *LACKING]


def test_setup_cell_away_from_colab_finds_the_course(root):
    # As the kernel translates the cell; its magics are not reached.
    script = TransformerManager().transform_cell(notebooks.setup_cell())
    script += "\nprint(runtime.ROOT)"
    code, out, err = processes.run("-c", script, cwd=root, PYTHONPATH="")
    assert code == 0, err
    assert out.splitlines() == ["ready", str(root)]
