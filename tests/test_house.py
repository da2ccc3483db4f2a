"""The house: data flows one way, helpers import without TensorFlow, command lines end one way."""

import ast
import graphlib
import textwrap
from pathlib import Path

import processes
import pytest

ROOT = Path(__file__).resolve().parent.parent
#: The rooms in the order that data flows: a room imports only from those before it.
ROOMS = [
    *("utils", "utils.runtime", "utils.expressions", "utils.exercises", "utils.inference"),
    *("utils.sample", "utils.faces"),
    *("utils.datasets", "utils.balance", "utils.layers", "utils.augment", "utils.models"),
    *("utils.records", "utils.training", "utils.evaluation", "utils.explain", "utils.figures"),
    *("utils.honesty", "utils.photos", "utils.archive", "utils.videos", "utils.export"),
    *("utils.commands", "utils.assessment"),
    *("experiments", "tools", "train", "evaluate", "predict", "app", "web"),
]
FOLDERS = [ROOT / name for name in ("utils", "experiments", "tools", "web")]
FILES = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in folder.rglob("*.py"))]


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES if path.name != "conftest.py"}


def room(module):
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "utils" else 1])


def imports(path):
    """Name the project's modules that a file imports anywhere, also inside a function."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in whole]
        yield from (name for name in names if name in MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_down_the_order_of_the_rooms(module):
    own = room(module)
    assert own in ROOMS, "a new room: give it its place in ROOMS"
    above = ROOMS[: ROOMS.index(own) + 1]
    wrong = {name for name in imports(MODULES[module]) if room(name) not in above}
    assert wrong == set()


def test_no_module_imports_itself_by_a_detour():
    graph = {module: set(imports(path)) - {module} for module, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_helpers_import_and_augment_without_tensorflow_and_say_nothing():
    helpers = sorted(module for module in MODULES if module.startswith("utils"))
    script = f"""
        import importlib, sys
        import numpy as np
        sys.modules["tensorflow"] = None
        for module in {helpers!r}:
            importlib.import_module(module)
        print("imported", file=sys.stderr)  # JAX may go on to say that it found no GPU
        from utils import augment, runtime
        runtime.setup(0)
        (warp,) = augment.layers_before()
        assert warp(np.zeros((2, 16, 16, 1), np.float32), training=True).shape == (2, 16, 16, 1)
    """
    code, out, err = processes.run("-c", textwrap.dedent(script), KERAS_BACKEND="jax")
    assert (code, out) == (0, ""), err
    assert err.startswith("imported\n"), err


def test_every_command_line_ends_through_run_command():
    found = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
                found[module] = [ast.unparse(line) for line in node.body]
    assert {"train", "evaluate", "predict", "experiments.search", "tools.readme"} <= set(found)
    assert {tuple(body) for body in found.values()} == {("runtime.run_command(main)",)}
