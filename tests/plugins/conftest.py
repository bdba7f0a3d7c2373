"""Installing plug-ins for a test: what an installer leaves, in a folder that is put on the path."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "package"
"""A plug-in of every kind."""


def write_metadata(site: Path, pyproject: str) -> None:
    """The ``.dist-info`` that an installer makes of a ``pyproject.toml``."""
    project = tomllib.loads(pyproject)["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    with open(info / "entry_points.txt", "w", encoding="utf-8") as file:
        for group, points in project["entry-points"].items():
            file.writelines([f"[{group}]\n", *(f"{name} = {value}\n" for name, value in points.items())])


class Site:
    """A folder on the path, in this process and in the commands that it runs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._modules: set[str] = set()
        patch.syspath_prepend(folder)

    def install(self, pyproject: str, **modules: str) -> None:
        """Adds a project: its metadata, and its modules by name."""
        write_metadata(self.folder, pyproject)
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source, encoding="utf-8")
            self._modules.add(name)
        importlib.invalidate_caches()

    def register(self, group: str, module: str, source: str, **points: str) -> None:
        """Adds a project of one module that registers attributes of it by name."""
        lines = "".join(f'{name} = "{module}:{attribute}"\n' for name, attribute in points.items())
        project = f'[project]\nname = "{module}"\nversion = "1"\n[project.entry-points."{group}"]\n{lines}'
        self.install(project, **{module: source})

    def close(self) -> None:
        """Forgets what was imported."""
        for name in self._modules:
            sys.modules.pop(name, None)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty :class:`Site`."""
    made = Site(tmp_path / "site", monkeypatch)
    made.folder.mkdir()
    yield made
    made.close()


@pytest.fixture(scope="session")
def bench() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``bench(*args, path=[...])`` runs the command in a process of its own, with folders on its path."""

    def call(*args: str, path: list[Path] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if path:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
        command = [sys.executable, "-m", "studies.cli", *args]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> list[Path]:
    """What has to be on the path for :data:`PACKAGE` to be installed."""
    site = tmp_path_factory.mktemp("example-site")
    write_metadata(site, (PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
    return [site, PACKAGE]


@pytest.fixture
def example(installed, monkeypatch):
    """The plug-ins are installed in this process too, for the length of the test."""
    for folder in installed:
        monkeypatch.syspath_prepend(folder)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "example_plugin"]:
        del sys.modules[name]
