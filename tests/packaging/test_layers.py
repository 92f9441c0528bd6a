"""The layers as `sam build` makes them: what is in them, what is not, and how much it weighs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LARGEST_LAYERS_MB = 30
"""Lambda takes 250 MB unzipped, function and layers together. Half of the 60 MB that the project
allows itself: the layers weigh 12 MB, so a package that doubles them deserves a decision record."""

THIRD_PARTY = {
    "annotated_types",
    "aws_lambda_powertools",
    "cronsim",
    "jmespath",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
    "tzdata",
}

pytestmark = pytest.mark.slow


def build(layer: str, logical_id: str, artifacts: Path) -> Path:
    """Runs the layer's Makefile as SAM does; the result is what Lambda unpacks into /opt/python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["make", f"--directory={ROOT / 'layers' / layer}", f"build-{logical_id}"]
    subprocess.run(
        [*command, f"ARTIFACTS_DIR={artifacts}"], check=True, env={**os.environ, "PATH": path}
    )
    return artifacts / "python"


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("dependencies", "DependenciesLayer", tmp_path_factory.mktemp("dependencies"))


@pytest.fixture(scope="module")
def watchkeeper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("watchkeeper", "WatchkeeperLayer", tmp_path_factory.mktemp("watchkeeper"))


def files(layer: Path) -> list[Path]:
    return [path.relative_to(layer) for path in sorted(layer.rglob("*")) if path.is_file()]


def modules(layer: Path) -> set[str]:
    """The names that `import` finds in the layer."""
    return {path.stem for path in layer.iterdir() if path.suffix != ".dist-info"}


def test_the_layers_stay_small(dependencies: Path, watchkeeper: Path) -> None:
    unpacked = sum(
        (layer / path).stat().st_size
        for layer in (dependencies, watchkeeper)
        for path in files(layer)
    )

    assert unpacked / 1e6 < LARGEST_LAYERS_MB


def test_third_party_packages_are_those_we_decided_on(dependencies: Path) -> None:
    # boto3 and botocore are Lambda's own; see docs/decisions/0002-dependencies.md.
    assert modules(dependencies) == THIRD_PARTY


def test_every_package_is_the_locked_one(dependencies: Path) -> None:
    locked = (ROOT / "layers/dependencies/requirements.txt").read_text()
    wanted = dict(re.findall(r"^([\w-]+)==(\S+)", locked, flags=re.MULTILINE))
    found = {}
    for folder in dependencies.glob("*.dist-info"):
        name, version = folder.name.removesuffix(".dist-info").rsplit("-", 1)
        found[name.replace("_", "-")] = version

    assert found == wanted


def test_compiled_code_is_for_lambda(dependencies: Path) -> None:
    compiled = [path.name for path in files(dependencies) if path.suffix == ".so"]

    assert compiled
    assert all(name.endswith(".cpython-313-x86_64-linux-gnu.so") for name in compiled), compiled


def test_our_layer_is_the_package_and_nothing_else(watchkeeper: Path) -> None:
    source = ROOT / "layers/watchkeeper"
    code = {path.relative_to(source) for path in source.glob("watchkeeper/**/*.py")}

    assert set(files(watchkeeper)) == {*code, Path("watchkeeper/py.typed")}


@pytest.mark.parametrize("unwanted", ["boto3", "botocore", "moto", "local", "test", "tests"])
def test_nothing_of_development_is_shipped(
    dependencies: Path, watchkeeper: Path, unwanted: str
) -> None:
    shipped = {
        part for layer in (dependencies, watchkeeper) for f in files(layer) for part in f.parts
    }

    assert unwanted not in shipped
