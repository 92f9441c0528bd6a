"""Alarms reach people, hold as long as they should, and take silence for what it is."""

import re

import pytest

from tests.template.stack import ROOT, Stack
from watchkeeper import naming

LAYER = ROOT / "layers" / "watchkeeper" / "watchkeeper"


def test_every_alarm_tells_people_when_it_begins_and_when_it_ends(stack: Stack) -> None:
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["AlarmActions"] == [stack.ref("PagesTopic")], name
        assert alarm["OKActions"] == [stack.ref("PagesTopic")], name
        assert alarm.get("ActionsEnabled", True) is True, name
        # What a night measures, the next night may find mended.
        rare = {"ignore"} if name == "DatabaseSnapshotsQuotaAlarm" else set()
        assert alarm["TreatMissingData"] in {"breaching", "notBreaching"} | rare, name


def test_every_alarm_says_in_words_what_is_wrong_and_names_its_runbook(stack: Stack) -> None:
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        condition, _, page = alarm["AlarmDescription"].partition(" Runbook: ")
        assert re.fullmatch(r"[A-Z].{40,}\.", condition), name
        expected = re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Alarm")).lower()
        assert page == f"docs/runbooks/{expected}.md", name


def test_an_alarm_looks_back_no_further_than_cloudwatch_allows(stack: Stack) -> None:
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Period"] % 60 == 0, name
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 24 * 3600, name
        assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"], name


@pytest.mark.parametrize(
    ("name", "metric", "statistic", "seconds", "silence_breaches"),
    [
        ("BackupsOverdueAlarm", "BackupsOverdue", "Maximum", 600, True),
        ("DrillsOverdueAlarm", "DrillsOverdue", "Maximum", 2 * 3600, True),
        ("DrillsFailedAlarm", "DrillsFailed", "Sum", 24 * 3600, False),
        ("RunsOverdueAlarm", "RunsOverdue", "Maximum", 600, False),
        ("RunsStuckAlarm", "RunsStuck", "Sum", 24 * 3600, False),
        ("RecoveryPointsFailedAlarm", "RecoveryPointsFailed", "Sum", 24 * 3600, False),
        ("PostScriptFailedAlarm", "PostScriptsFailed", "Sum", 24 * 3600, False),
        ("KeysFailingAlarm", "RecoveryPointsUnderFailingKeys", "Maximum", 12 * 3600, False),
        ("RemovalHaltedAlarm", "RemovalHalted", "Sum", 24 * 3600, False),
        ("PolicyRefusedAlarm", "PolicyRefused", "Sum", 3600, False),
    ],
)
def test_what_must_be_zero_is_watched_for_this_stack_alone(
    stack: Stack, name: str, metric: str, statistic: str, seconds: int, *, silence_breaches: bool
) -> None:
    assert stack.alarms_on("Watchkeeper", metric, "service", "stack") == [name]
    alarm = stack.properties(name)
    assert alarm["Statistic"] == statistic
    assert alarm["Period"] * alarm["EvaluationPeriods"] == seconds
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert (alarm["TreatMissingData"] == "breaching") is silence_breaches


def test_room_for_database_snapshots_is_asked_for_before_it_is_needed(stack: Stack) -> None:
    (name,) = stack.alarms_on("Watchkeeper", "DatabaseSnapshotQuotaUsed", "service", "stack")
    alarm = stack.properties(name)
    assert name == "DatabaseSnapshotsQuotaAlarm"
    assert alarm["Statistic"] == "Maximum"
    # Nights measure it; between two of them it stands as it stood.
    assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "ignore")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 80)


def test_keys_are_looked_at_in_each_period_of_their_alarm(stack: Stack) -> None:
    assert stack.properties("KeysFailingAlarm")["Period"] == naming.KEYS_EVERY * 3600


def test_every_metric_of_ours_that_an_alarm_watches_is_measured_somewhere(stack: Stack) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in LAYER.rglob("*.py"))
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        if alarm["Namespace"] == "Watchkeeper":
            assert f'"{alarm["MetricName"]}"' in code, name


def test_ten_minutes_without_a_completed_sweep_breach(stack: Stack) -> None:
    (name,) = stack.alarms_on("Watchkeeper", "SweepCompleted", "service", "stack")
    alarm = stack.properties(name)
    assert name == "SweepSilentAlarm"
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Statistic"] == "Sum"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["Period"] == 60
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == 10


def test_twenty_minutes_without_a_look_for_lost_alarms_breach(stack: Stack) -> None:
    (name,) = stack.alarms_on("Watchkeeper", "AlarmsLookedFor", "service", "stack")
    alarm = stack.properties(name)
    assert name == "TriageSilentAlarm"
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Sum", "LessThanThreshold")
    assert (alarm["Period"], alarm["Threshold"]) == (300, 1)  # each tick counts one
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == 4


def test_alarms_that_take_silence_for_trouble_wait_for_who_speaks(stack: Stack) -> None:
    others = {
        "DrillsOverdueAlarm": "DrillRestoresTick",
        "TriageSilentAlarm": "TriageIncidentsTick",
    }
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        if alarm["TreatMissingData"] == "breaching":
            assert stack.resources[name]["DependsOn"] == others.get(name, "SweepRunsTick"), name


def test_what_happens_once_keeps_its_alarm_for_a_day(stack: Stack) -> None:
    """One datapoint in the last 24 hours is enough; "OK" five minutes later would be a lie."""
    for name in (
        "DrillsFailedAlarm",
        "PostScriptFailedAlarm",
        "RecoveryPointsFailedAlarm",
        "RemovalHaltedAlarm",
        "RunsStuckAlarm",
    ):
        alarm = stack.properties(name)
        assert alarm["DatapointsToAlarm"] == 1, name
        assert alarm["Period"] * alarm["EvaluationPeriods"] == 24 * 3600, name
