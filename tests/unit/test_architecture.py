"""Who may import what, and who may ask what time it is: what keeps decisions pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYER = Path(__file__).parents[2] / "layers/watchkeeper/watchkeeper"
MODULES = sorted(LAYER.rglob("*.py"))
TRIAGE_ACTS = {
    "composed.py", "joining.py", "log_choice.py", "log_queries.py", "replay.py", "resources.py",
    "respond.py", "standing.py", "steps.py", "triaging.py",
}  # fmt: skip
"""Of triage, beside the looks: what asks AWS, keeps records or tells. All the rest decides."""
DECIDE = {
    "backups/coverage.py", "backups/due.py", "backups/keys.py", "backups/manifest.py",
    "backups/model.py", "backups/quota.py", "backups/removal.py", "backups/retention.py",
    "backups/rules.py", "backups/sample.py", "backups/services.py", "backups/steady.py",
    "backups/windows.py", "drills/blocks.py", "drills/chain.py", "drills/controls.py",
    "drills/costs.py", "drills/database_answers.py", "drills/database_settings.py", "drills/due.py",
    "drills/evidence.py", "drills/exercise_page.py", "drills/figures.py", "drills/file_systems.py",
    "drills/findings.py", "drills/forecast.py", "drills/markup.py", "drills/metadata.py",
    "drills/model.py", "drills/noted.py", "drills/objectives.py", "drills/page.py",
    "drills/partitions.py", "drills/points.py", "drills/policy.py", "drills/questions.py",
    "drills/restoring.py", "drills/rules.py", "drills/style.py", "drills/table_reading.py",
    "drills/volume_findings.py", "recovery/choice.py", "recovery/database_settings.py",
    "recovery/model.py", "recovery/table_settings.py", "durations.py", "policy.py",
    "policy_text.py", "quoting.py", "schedules.py",
    *(module.relative_to(LAYER).as_posix() for module in MODULES if module.match("*_checks.py")),
    *(
        module.relative_to(LAYER).as_posix()
        for module in MODULES
        if module.parent.name == "triage"
        and module.name not in TRIAGE_ACTS
        and not module.match("*_looks.py")
    ),
}  # fmt: skip
"""Modules that decide, all that compare among them: they import nothing that acts."""
ACT = ("watchkeeper.aws", "watchkeeper.runs", "watchkeeper.news", "watchkeeper.telemetry")
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "sleep"}


def name(module: Path) -> str:
    return module.relative_to(LAYER).as_posix()


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_only_aws_imports_boto3(module: Path) -> None:
    found = [one for one in imported(module) if one.split(".")[0] in ("boto3", "botocore")]

    assert found == [] or name(module).startswith("aws/")


@pytest.mark.parametrize("decider", sorted(DECIDE))
def test_what_decides_imports_nothing_that_acts(decider: str) -> None:
    assert [one for one in imported(LAYER / decider) if one.startswith(ACT)] == []


@pytest.mark.parametrize(
    "module", [one for one in MODULES if one.parent.name != "scripts"], ids=name
)
def test_only_the_clock_reads_the_clock_and_nothing_sleeps(module: Path) -> None:
    """But for the scripts that run on a verifier: no Lambda waits for them."""
    asked = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and ast.unparse(node.func.value) in ("datetime", "date", "time")
    ]

    assert asked == ([] if name(module) != "aws/clock.py" else ["datetime.now(UTC)"])


def test_what_is_said_to_act_in_triage_does() -> None:
    """A module that has become pure is to be held to it."""
    for one in TRIAGE_ACTS:
        assert any(each.startswith(ACT) for each in imported(LAYER / "triage" / one)), one


def test_looks_name_what_they_ask_and_never_the_service() -> None:
    """They get their adapters from `composed.py`, so that tests hand them others."""
    for module in MODULES:
        if module.match("triage/*_looks.py"):
            made = [
                ast.unparse(node.func)
                for node in ast.walk(ast.parse(module.read_text()))
                if isinstance(node, ast.Call)
            ]
            assert "client" not in made, name(module)
