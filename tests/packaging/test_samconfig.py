"""samconfig.toml: the environments deploy alike, and override only parameters that exist."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())

ENVIRONMENTS = ["staging", "production"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_overrides_parameters_and_nothing_else(environment: str) -> None:
    deploy = dict(CONFIG[environment]["deploy"]["parameters"])
    deploy.pop("parameter_overrides")

    assert deploy == CONFIG["default"]["deploy"]["parameters"]
    assert set(CONFIG[environment]) == {"global", "deploy"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_parameters_of_the_template_are_overridden(environment: str) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    overrides = CONFIG[environment]["deploy"]["parameters"]["parameter_overrides"]

    assert {override.split("=")[0] for override in overrides} <= set(template["Parameters"])


def test_every_stack_has_a_name_and_policies_of_its_own() -> None:
    names = [
        CONFIG[name]["global"]["parameters"]["stack_name"] for name in CONFIG if name != "version"
    ]
    prefixes = [
        override
        for environment in ENVIRONMENTS
        for override in CONFIG[environment]["deploy"]["parameters"]["parameter_overrides"]
        if override.startswith("PolicyPrefix=")
    ]

    assert len(set(names)) == len(names) == 3
    assert len(set(prefixes)) == len(ENVIRONMENTS)
