"""One source of versions, one address; links and command lines in the prose lead somewhere."""

import re

import pytest
import yaml
from packaging.requirements import Requirement

from tools import notebooks

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


@pytest.fixture(scope="module")
def file(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture
def project(file):
    return file["project"]


def test_conda_environment_has_the_packages_of_pyproject(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    *plain, last = environment["dependencies"]
    assert last["pip"] == [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        "-e .",
    ]
    assert f"python{project['requires-python']}" in plain
    assert environment["name"] == project["name"]


def test_every_package_has_its_reason_and_a_lower_bound(root, project):
    lines = (root / "pyproject.toml").read_text("utf-8").splitlines()
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in [one for group in groups for one in group]:
        line = next(one for one in lines if f'"{requirement}"' in one)
        assert "  # " in line, f"{requirement} has no reason beside it"
        assert ">=" in requirement


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_lock_pins_every_package_for_every_python(root, project, version):
    place = {"python_version": version, "python_full_version": f"{version}.1"}

    def here(requirement):
        return requirement.marker is None or requirement.marker.evaluate(place)

    lines = (root / "requirements.lock").read_text("utf-8").splitlines()
    locked = [one for one in map(Requirement, filter(None, lines)) if here(one)]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in filter(here, map(Requirement, wanted)):
        pins = [str(one.specifier) for one in locked if one.name.lower() == requirement.name]
        assert len(pins) == 1, f"{requirement.name}: {pins}"
        assert pins[0].startswith("==")
        assert requirement.specifier.contains(pins[0].removeprefix("==")), requirement


def test_makefile_knows_the_same_pythons_as_pyproject(root, project):
    assert project["requires-python"] == ">=3.10,<3.14"
    fits = "(3, 10) <= sys.version_info[:2] <= (3, 13)"
    assert fits in (root / "Makefile").read_text("utf-8")


def test_the_package_has_every_room(root, file):
    found = {f"{path.parent.name}*" for path in root.glob("*/__init__.py")}
    assert found == set(file["tool"]["setuptools"]["packages"]["find"]["include"])


def test_every_badge_leads_to_this_repository(root):
    for path in [root / "README.md", *notebooks.paths()]:
        slugs = re.findall(
            r"colab\.research\.google\.com/github/([^/\s]+/[^/\s]+)/", path.read_text("utf-8")
        )
        assert {f"https://github.com/{slug}" for slug in slugs} == {notebooks.repository()}


def test_setup_cell_and_citation_name_this_repository_and_version(root, project):
    setup, address = notebooks.setup_cell(), project["urls"]["Repository"]
    assert f"{address} course" in setup
    assert f"--branch v{project['version']} " in setup
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    named = [citation[key] for key in ("repository-code", "version", "title")]
    assert named == [address, project["version"], project["name"]]


def test_links_and_modules_in_the_prose_lead_somewhere(root):
    for path in [*root.glob("*.md"), *root.glob("*/README.md")]:
        text = path.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"
        if path.name != "CHANGELOG.md":
            for module in re.findall(r"python -m ((?:utils|experiments|tools)[\w.]*)", text):
                place = root.joinpath(*module.rstrip(".").split("."))
                known = place.with_suffix(".py").exists() or (place / "__main__.py").exists()
                assert known, f"{path.name} names {module}"
