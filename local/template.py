"""The template as it is deployed: transformed by aws-sam-translator, without AWS or a build.

Code is not packaged: what CodeUri and ContentUri name is kept as folders, out of which the
handlers run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

# Managed policies that SAM adds by name (Tracing: Active brings the first); the translator would
# ask IAM for them.
MANAGED_POLICIES = {
    name: f"arn:aws:iam::aws:policy/{name}"
    for name in ("AWSXRayDaemonWriteAccess", "AWSXrayWriteOnlyAccess")
} | {
    name: f"arn:aws:iam::aws:policy/service-role/{name}"
    for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole")
}

# Where SAM is told that the code lies. Nothing is ever stored there.
CODE_BUCKET = "code-runs-from-its-folders"


@dataclass(frozen=True)
class Template:
    """A transformed template and where its code lies."""

    path: Path
    text: str
    """The template after the transform, as JSON."""
    code: dict[str, Path]
    """Folder of each function's code, by logical id."""
    layers: tuple[Path, ...]
    """Folders of the layers' content."""
    parameters: dict[str, str]

    def document(self) -> dict[str, Any]:
        """A fresh copy of the transformed template."""
        document: dict[str, Any] = json.loads(self.text)
        return document


def load(path: Path, parameters: dict[str, str] | None = None) -> Template:
    """Transform a SAM template; a second time with the same file and parameters costs nothing."""
    given = tuple(sorted((parameters or {}).items()))
    return _load(path.resolve(), path.stat().st_mtime_ns, given)


@lru_cache(maxsize=16)
def _load(path: Path, _modified: int, given: tuple[tuple[str, str], ...]) -> Template:
    document = yaml_parse(path.read_text(encoding="utf-8"))
    defaults = document.get("Globals", {}).get("Function", {})
    code: dict[str, Path] = {}
    layers: list[Path] = []
    for logical_id, resource in document["Resources"].items():
        properties = resource.setdefault("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            uri = properties.get("CodeUri", defaults.get("CodeUri", "."))
            code[logical_id] = path.parent / uri
            properties["CodeUri"] = {"Bucket": CODE_BUCKET, "Key": logical_id}
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            layers.append(path.parent / properties["ContentUri"])
            properties["ContentUri"] = {"Bucket": CODE_BUCKET, "Key": logical_id}
    parameters = _parameters(document, dict(given), path)
    session = boto3.Session(region_name="us-east-1")
    translator = Translator(MANAGED_POLICIES, Parser(), boto_session=session)
    transformed = translator.translate(document, parameter_values=parameters)
    return Template(path, json.dumps(transformed, default=str), code, tuple(layers), parameters)


def _parameters(document: dict[str, Any], given: dict[str, str], path: Path) -> dict[str, str]:
    declared = document.get("Parameters", {})
    if unknown := sorted(given.keys() - declared.keys()):
        raise ValueError(
            f"{path}: no parameter {', '.join(unknown)}; there are: {', '.join(declared)}"
        )
    values = {
        name: str(definition["Default"])
        for name, definition in declared.items()
        if "Default" in definition
    } | given
    if missing := sorted(declared.keys() - values.keys()):
        raise ValueError(f"{path}: parameter {', '.join(missing)} has no default and no value")
    return values
