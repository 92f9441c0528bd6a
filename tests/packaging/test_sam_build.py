"""The whole template under a real `sam build`, with whatever Python is here and without Docker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]

SAM = ROOT / ".tools/sam/bin/sam"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SAM.exists(), reason="needs SAM CLI: `make build` installs it"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds elsewhere, so that a build that somebody is using stays as it is."""
    folder = tmp_path_factory.mktemp("sam-build")
    # No interpreter of Lambda's version: pyenv's and a package manager's folders are left out.
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    subprocess.run(
        [SAM, "build", f"--build-dir={folder}/build", f"--cache-dir={folder}/cache"],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"},
    )
    return folder / "build"


def resources_of(built: Path, kind: str) -> dict[str, dict[str, object]]:
    template = yaml_parse((built / "template.yaml").read_text())
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == f"AWS::Serverless::{kind}"
    }


def test_functions_are_taken_as_they_are(built: Path) -> None:
    functions = resources_of(built, "Function")

    assert functions
    for name, properties in functions.items():
        folder = (built / str(properties["CodeUri"])).resolve()
        shipped = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
        assert folder.parent == ROOT / "functions", name
        assert shipped == {"app.py"}, f"{name} ships {shipped}; requirements belong in the layer"


def test_layers_are_built(built: Path) -> None:
    layers = resources_of(built, "LayerVersion")

    assert set(layers) == {"DependenciesLayer", "WatchkeeperLayer"}
    for properties in layers.values():
        assert (built / str(properties["ContentUri"]) / "python").is_dir()
