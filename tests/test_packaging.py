"""One source of versions, one address; and helpers that import without the heavy packages."""

import re
import subprocess
import sys
import textwrap

import pytest
import yaml

from tools import notebooks

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

HEAVY = ("tensorflow", "keras", "cv2", "imblearn", "mtcnn", "kagglehub")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def requirement_name(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


# ------------------------------------------------------------------ packages


def test_conda_environment_has_the_packages_of_pyproject(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    plain = [one for one in environment["dependencies"] if isinstance(one, str)]
    pip = next(one["pip"] for one in environment["dependencies"] if isinstance(one, dict))
    listed = project["project"]
    assert pip == [*listed["dependencies"], *listed["optional-dependencies"]["dev"], "-e ."]
    assert f"python{listed['requires-python']}" in plain
    assert environment["name"] == listed["name"]


def test_every_package_has_its_reason_and_a_lower_bound(root, project):
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
    ]
    lines = (root / "pyproject.toml").read_text("utf-8").splitlines()
    for requirement in [one for group in groups for one in group]:
        line = next(one for one in lines if f'"{requirement}"' in one)
        assert "  # " in line, f"{requirement} has no reason beside it"
        assert ">=" in requirement


def test_lock_pins_every_package_for_every_python(root, project):
    from packaging.requirements import Requirement

    locked = [
        Requirement(line)
        for line in (root / "requirements.lock").read_text("utf-8").splitlines()
        if line.strip() and not line.startswith(("#", " "))
    ]
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"]
    for version in ("3.10", "3.11", "3.12", "3.13"):
        place = {"python_version": version, "python_full_version": f"{version}.1"}
        for requirement in map(Requirement, wanted):
            if requirement.marker and not requirement.marker.evaluate(place):
                continue
            pins = [
                one
                for one in locked
                if one.name.lower() == requirement.name.lower()
                and (one.marker is None or one.marker.evaluate(place))
            ]
            assert len(pins) == 1, f"{requirement.name} on Python {version}: {pins}"
            pinned = str(pins[0].specifier)
            assert pinned.startswith("==")
            assert requirement.specifier.contains(pinned.removeprefix("==")), requirement


def test_makefile_knows_the_same_pythons_as_pyproject(root, project):
    makefile = (root / "Makefile").read_text("utf-8")
    assert project["project"]["requires-python"] == ">=3.10,<3.14"
    assert "(3, 10) <= sys.version_info[:2] <= (3, 13)" in makefile


# ------------------------------------------------------------------ one address


def test_every_badge_leads_to_this_repository(root):
    address = notebooks.repository()
    for path in [root / "README.md", *notebooks.paths()]:
        slugs = re.findall(
            r"colab\.research\.google\.com/github/([^/\s]+/[^/\s]+)/", path.read_text("utf-8")
        )
        assert slugs, f"{path.name} has no badge"
        assert {f"https://github.com/{slug}" for slug in slugs} == {address}, path.name


def test_readme_has_a_badge_for_every_notebook(root):
    readme = (root / "README.md").read_text("utf-8")
    for path in notebooks.paths():
        assert notebooks.badge(path.name) in readme, path.name
        assert f"notebooks/{path.name}" in readme


def test_setup_cell_clones_this_repository_at_this_version(project):
    setup = notebooks.setup_cell()
    assert f"{project['project']['urls']['Repository']} course" in setup
    assert f"--branch v{project['project']['version']} " in setup


def test_citation_names_this_repository_and_version(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    assert citation["repository-code"] == project["project"]["urls"]["Repository"]
    assert citation["version"] == project["project"]["version"]
    assert citation["title"] == project["project"]["name"]


def test_links_between_files_lead_somewhere(root):
    for path in [*root.glob("*.md"), *root.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


# ------------------------------------------------------------------ imports


def test_helpers_import_without_the_heavy_packages(root):
    """Every module of ``utils``, where none of the heavy packages can be imported."""
    modules = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in sorted((root / "utils").rglob("*.py"))
    ]
    script = f"""
        import importlib, sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {HEAVY!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Absent())
        for module in {modules!r}:
            importlib.import_module(module.removesuffix(".__init__"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
