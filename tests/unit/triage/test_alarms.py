"""Every shape of alarm, by every route, as one kind of thing."""

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.alarm_alertmanager import CUT, NO_TIME, fingerprint
from watchkeeper.triage.alarm_cloudwatch import named_in
from watchkeeper.triage.alarms import MOST, Alarm, Kind, Metric, State, read
from watchkeeper.triage.envelopes import LONGEST, parsed, unwrapped
from watchkeeper.triage.fields import moment

ROOT = Path(__file__).parents[3]
EVENTS = ROOT / "events" / "triage_incidents"
AT = datetime(2026, 11, 23, 3, 12, 7, 86_000, UTC)
ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"
OURS = "watchkeeper-"


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def read_one(name: str) -> Alarm:
    (alarm,) = read(event(name), OURS)
    return alarm


def without_ids(alarm: Alarm) -> list[Metric]:
    """SNS gives a metric that is alone no id."""
    return [one.model_copy(update={"id": ""}) for one in alarm.metrics]


# ── CloudWatch ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "alarm", "kind", "opens"),
    [
        ("metric-alarm", "checkout-errors", Kind.METRIC, True),
        ("metric-alarm-direct", "checkout-errors", Kind.METRIC, True),
        ("metric-alarm-sns", "checkout-errors", Kind.METRIC, True),
        ("metric-alarm-muted", "checkout-errors", Kind.METRIC, False),
        ("set-by-hand", "checkout-errors", Kind.METRIC, True),
        ("metric-math-alarm", "checkout-error-rate", Kind.MATH, True),
        ("metric-math-alarm-sns", "checkout-error-rate", Kind.MATH, True),
        ("anomaly-alarm", "checkout-duration-band", Kind.ANOMALY, True),
        ("anomaly-alarm-sns", "checkout-duration-band", Kind.ANOMALY, True),
        ("composite-alarm", "checkout-unwell", Kind.COMPOSITE, True),
        ("composite-alarm-sns", "checkout-unwell", Kind.COMPOSITE, True),
        ("composite-alarm-suppressed", "checkout-unwell", Kind.COMPOSITE, False),
        ("contributor-alarm", "tables-throttled", Kind.QUERY, True),
        ("contributor-alarm-direct", "tables-throttled", Kind.QUERY, True),
        ("log-alarm", "checkout-refused-cards", Kind.LOG, True),
        ("log-alarm-sns", "checkout-refused-cards", Kind.LOG, True),
        ("our-own-alarm", "watchkeeper-triage-errors", Kind.METRIC, False),
    ],
)
def test_every_shape_of_cloudwatch_is_read(name: str, alarm: str, kind: Kind, opens: bool) -> None:
    found = read_one(name)

    assert (found.name, found.arn, found.kind) == (alarm, ARN + alarm, kind)
    assert (found.state, found.at, found.problem) == (State.ALARM, AT, "")
    assert (found.account, found.region) == ("123456789012", "eu-west-1")
    assert found.opens is opens
    assert found.reason
    assert Alarm.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "names",
    [
        ("metric-alarm", "metric-alarm-direct", "metric-alarm-sns", "metric-alarm-sns-sqs",
         "metric-alarm-sqs-raw", "metric-alarm-bridge-sns-sqs"),
        ("metric-math-alarm", "metric-math-alarm-sns"),
        ("anomaly-alarm", "anomaly-alarm-sns"),
        ("composite-alarm", "composite-alarm-sns"),
        ("contributor-alarm", "contributor-alarm-direct"),
        ("log-alarm", "log-alarm-sns"),
    ],
)  # fmt: skip
def test_by_whatever_route_it_is_the_same_alarm(names: tuple[str, ...]) -> None:
    one, *others = (read_one(name) for name in names)

    for other in others:
        assert (other.identity, other.key, other.kind) == (one.identity, one.key, one.kind)
        assert without_ids(other) == without_ids(one)
        assert (other.children, other.triggered_by) == (one.children, one.triggered_by)
        assert (other.query, other.log_groups) == (one.query, one.log_groups)
        assert (other.threshold, other.state, other.at) == (one.threshold, one.state, one.at)


def test_a_batch_holds_each_change_of_state_once() -> None:
    batch = {"Records": [*event("metric-alarm-sns")["Records"],
                         *event("metric-alarm-sqs-raw")["Records"],
                         *event("composite-alarm-sns")["Records"]]}  # fmt: skip

    assert [one.name for one in read(batch)] == ["checkout-errors", "checkout-unwell"]


def test_what_it_looks_at_and_since_when() -> None:
    alarm = read_one("metric-alarm")

    assert alarm.since == datetime(2026, 11, 23, 3, 8, tzinfo=UTC)
    assert (alarm.datapoints, alarm.threshold, alarm.previous) == ((3, 9, 17), 2.0, State.OK)
    (metric,) = alarm.metrics
    assert (metric.namespace, metric.name, metric.stat) == ("AWS/Lambda", "Errors", "Sum")
    assert (metric.dimensions, metric.period) == ({"FunctionName": "checkout"}, 60)


def test_ok_again_is_another_change_of_the_same_alarm() -> None:
    alarm, ok = read_one("metric-alarm"), read_one("metric-alarm-ok")

    assert (ok.state, ok.opens) == (State.OK, False)
    assert ok.key == alarm.key
    assert ok.identity != alarm.identity


def test_set_by_hand_there_is_no_reason_data() -> None:
    alarm = read_one("set-by-hand")

    assert (alarm.reason, alarm.since, alarm.datapoints) == ("Trying the page", None, ())


def test_a_contributor_is_an_alarm_of_its_own() -> None:
    alarm = read_one("contributor-alarm")

    assert alarm.key == f"{ARN}tables-throttled#6d442278dba546f6"
    assert alarm.contributor_attributes == {"TableName": "carts"}


def test_a_log_alarm_says_where_it_looked() -> None:
    alarm = read_one("log-alarm")

    assert alarm.log_groups == ("/aws/lambda/checkout",)
    assert alarm.query == "filter @message like /refused/"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("metric-alarm-muted", (f"Muted by {ARN[:-7]}:alarm-mute-rule:release"
                               " until 2026-11-23T04:00:00.000+0000")),
        ("composite-alarm-suppressed", "Suppressed by Alarm: deploying is in ALARM"),
    ],
)  # fmt: skip
def test_muted_says_by_what(name: str, why: str) -> None:
    assert read_one(name).muted == why


def test_what_was_suppressed_before_is_not_muted_now() -> None:
    given_ = event("composite-alarm")
    given_["detail"]["previousState"]["actionsSuppressedBy"] = "WaitPeriod"

    assert read(given_)[0].opens


def test_autoscaling_and_our_own_open_nothing() -> None:
    assert read_one("target-tracking-alarm").autoscaling
    assert not read_one("target-tracking-alarm").opens
    assert read_one("our-own-alarm").ours
    (without,) = read(event("our-own-alarm"))
    assert not without.ours


def test_anybody_can_call_an_alert_like_one_of_ours() -> None:
    body = {"alerts": [{"status": "firing", "labels": {"alertname": f"{OURS}x"}},
                       {"status": "firing", "labels": {"alertname": "TargetTracking-x"}},
    ]}  # fmt: skip

    assert all(one.opens for one in read(body, OURS))


def test_a_change_of_configuration_is_no_alarm() -> None:
    assert read(event("metric-alarm") | {
        "detail-type": "CloudWatch Alarm Configuration Change"
    }) == []  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("ALARM(a)", ["a"]),
        ('ALARM("a b") OR NOT OK( c )', ["a b", "c"]),
        (f"INSUFFICIENT_DATA({ARN}a) AND ALARM(a) AND ALARM(a)", [f"{ARN}a", "a"]),
        (r'ALARM("say \"x\" (OK(b))")', ['say "x" (OK(b))']),
        ('AT_LEAST(2, ALARM, (a, b, "c, d")) OR AT_LEAST(50%, NOT OK, (e,f))',
         ["a", "b", "c, d", "e", "f"]),
        ("(TRUE AND FALSE)", []), ("", []), ('ALARM("', []), ("ALARM()", []), ("ALARM" * 9, []),
    ],
)  # fmt: skip
def test_children_are_those_that_the_rule_names(rule: str, names: list[str]) -> None:
    assert named_in(rule) == names


def test_children_are_arns_beside_their_parent() -> None:
    alarm = read_one("composite-alarm")

    assert alarm.children == (
        f"{ARN}checkout-errors", f"{ARN}checkout-duration-band", f'{ARN}payment ("live")'
    )  # fmt: skip
    assert alarm.triggered_by == (f"{ARN}checkout-errors",)


# ── Alertmanager ──────────────────────────────────────────────────────────────────────────────────

TEMPLATE = ROOT / "monitoring" / "alertmanager-sns.yml"
RENDERED = "544e58cc3193abd5"
"""The template with which Alertmanager 0.25 wrote `alertmanager-json.json`. After a change, let a
real one write it again, from alerts that hold quotes, control characters and several lines.
"""


def test_the_template_yields_what_is_read() -> None:
    receiver = yaml.safe_load(TEMPLATE.read_text())["receivers"][0]["sns_configs"][0]
    assert hashlib.sha256(receiver["message"].encode()).hexdigest()[:16] == RENDERED

    disk, odd = read(event("alertmanager-json"))

    assert (disk.name, disk.kind, disk.state) == ("HighDisk", Kind.ALERT, State.ALARM)
    assert disk.labels == {"alertname": "HighDisk", "instance": "i-0abc", "severity": "critical"}
    assert (disk.severity, disk.reason, disk.problem) == ("critical", "disk 93 %", "")
    assert disk.at == disk.since == datetime(2026, 11, 23, 20, 29, 25, 123_000, UTC)
    assert disk.identity == "alertmanager:bb3a8e8550d0cf16@2026-11-23T20:29:25Z/ALARM"
    assert odd.labels["odd"].startswith("x \"y\" \\ \x1b[2J\a\v\0\u202e \U0001f600 \U000e0001 'q'")
    assert odd.severity == "critical"


def test_the_fingerprint_is_alertmanagers_own() -> None:
    assert [f"alertmanager:{fingerprint(one.labels)}" for one in read(event("alertmanager-json"))
            ] == [one.key for one in read(event("alertmanager-json"))]  # fmt: skip


def test_the_default_text_names_the_same_alerts() -> None:
    as_json, as_text = read(event("alertmanager-json")), read(event("alertmanager-text"))

    assert [one.key for one in as_text] == [one.key for one in as_json]
    assert [one.labels for one in as_text] == [one.labels for one in as_json]
    assert as_text[0].annotations == as_json[0].annotations  # lines of a value can look like others
    assert {one.problem for one in as_text} == {NO_TIME}
    assert {one.at for one in as_text} == {datetime(2026, 11, 23, 3, 12, 7, 703_000, UTC)}


def test_the_text_says_which_are_over() -> None:
    on, over = read(event("alertmanager-text-resolved"))

    assert (on.state, over.state) == (State.ALARM, State.OK)
    assert over.key == read(event("alertmanager-text"))[0].key
    assert over.identity != read(event("alertmanager-text"))[0].identity


@pytest.mark.parametrize("name", ["alertmanager-json-cut", "alertmanager-text-cut"])
def test_of_a_cut_message_what_is_whole_is_read(name: str) -> None:
    whole, part = read(event(name))

    assert whole.key == "alertmanager:bb3a8e8550d0cf16"
    assert whole.problem != CUT
    assert (part.name, part.problem) == ("HighDisk", CUT)


def test_wherever_a_message_is_cut_its_alerts_are_told() -> None:
    message = event("alertmanager-json")["Records"][0]["Sns"]["Message"]
    record = event("alertmanager-json")["Records"][0]
    for end in range(0, len(message), 7):
        cut = record | {"Sns": record["Sns"] | {"Message": message[:end]}}
        found = read({"Records": [cut]})
        assert found
        assert all(one.opens for one in found)
        assert found[-1].problem


def test_the_web_hooks_form_is_the_same_alert() -> None:
    hook = {"version": "4", "truncatedAlerts": 3, "status": "firing", "alerts": [
        {"status": "firing", "fingerprint": "bb3a8e8550d0cf16",
         "labels": {"alertname": "HighDisk"}, "annotations": {},
         "startsAt": "2026-11-23T20:29:25.123456789Z", "endsAt": "0001-01-01T00:00:00Z"},
    ]}  # fmt: skip

    (alarm,) = read(hook)

    assert alarm.identity == read(event("alertmanager-json"))[0].identity
    assert alarm.problem == CUT


def test_one_alert_may_come_without_a_list() -> None:
    (alarm,) = read({"status": "firing", "labels": {"alertname": "A"}, "alerts": 3})
    assert (alarm.name, alarm.state) == ("A", State.ALARM)


def test_labels_may_stand_in_the_alert_itself() -> None:
    body = {"status": "resolved", "alerts": [{"alertname": "A", "severity": "warning",
                                              "summary": "s", "startsAt": "2026-11-23T01:00:00Z"},
    ]}  # fmt: skip
    (alarm,) = read(body)

    assert (alarm.name, alarm.state, alarm.severity) == ("A", State.OK, "warning")
    assert (alarm.reason, alarm.labels) == ("s", {"alertname": "A", "severity": "warning"})


# ── What cannot be read ───────────────────────────────────────────────────────────────────────────


def test_what_is_no_alarm_is_told() -> None:
    alarm = read_one("not-an-alarm")

    assert (alarm.kind, alarm.state, alarm.opens) == (Kind.UNKNOWN, State.UNKNOWN, True)
    assert alarm.name == "Trying the topic"
    assert '"Hello from SNS!"' in alarm.problem
    assert alarm.identity == read_one("not-an-alarm").identity


@pytest.mark.parametrize(
    "given_", [None, 3, "", "text", [3], {}, {"Records": [None]}, b"bytes", {"alerts": []}]
)
def test_anything_else_is_an_alarm_with_a_problem(given_: Any) -> None:
    (alarm,) = read(given_)
    assert alarm.problem


def test_nothing_to_read_is_nothing() -> None:
    assert read([]) == read({"Records": []}) == []


def test_an_alarm_without_name_or_state_says_so() -> None:
    (alarm,) = read({"detail-type": "CloudWatch Alarm State Change", "detail": {}})

    assert alarm.problem == "The message does not say its name and its state."
    assert alarm.opens


LONG = 1_000_000
HOSTILE = {
    "brackets": "[" * LONG, "braces": '{"a":' * (LONG // 5), "quotes": '"' * LONG,
    "escapes": "{" + "\\" * LONG, "strings": '{"' + '\\"' * LONG, "lists": "[[]," * (LONG // 4),
    "labels": "Alerts Firing:\n" + "Labels:\n" * (LONG // 8),
    "sections": "Alerts Firing:\n" * (LONG // 15),
    "pairs": "Alerts Firing:\nLabels:\n" + " - a = b\n" * (LONG // 9), "lines": "\n" * LONG,
    "spaces": "Alerts Firing:" + " " * LONG, "surrogates": "\ud800" * LONG,
    "alerts": '{"alerts":[' + '{"status":"firing"},' * (LONG // 20),
    "rule": json.dumps({"AlarmName": "x", "NewStateValue": "ALARM",
                        "AlarmRule": 'ALARM("' * (LONG // 7)}),
    "commas": json.dumps({"AlarmName": "x", "NewStateValue": "ALARM", "AlarmRule": ",(" * 400_000}),
    "digits": '{"AlarmName":' + "9" * LONG + ',"NewStateValue":"ALARM"}',
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_costs_little(name: str) -> None:
    start = time.process_time()
    found = read({"Records": [{"Sns": {"Message": HOSTILE[name], "TopicArn": "arn"}}]})

    assert time.process_time() - start < 10
    assert 0 < len(found) <= MOST
    assert max(len(one.model_dump_json()) for one in found) < 1_000_000


def test_envelopes_inside_each_other_have_an_end() -> None:
    body = "the end"
    for _ in range(9):
        body = json.dumps({"Type": "Notification", "TopicArn": "t", "Message": body})
    (message,) = unwrapped(body)

    assert isinstance(message.content, dict)
    assert read(body)[0].problem


def test_what_is_too_long_is_cut() -> None:
    (message,) = unwrapped("x" * (LONGEST + 1))
    assert (len(message.content), message.cut) == (LONGEST, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["ALARM", "firing", "9999-12-31T23:59:59-2359", "1e999", "\ud800", "TRUE"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["alerts", "labels", "status", "detail", "alarmData", "AlarmName", "state",
                         "value", "Records", "Sns", "Message", "TopicArn", "body", "timestamp",
                         "receiptHandle", "NewStateValue", "configuration", "metrics", "startsAt",
                         "alarmContributor", "reasonData", "Trigger", "resources", "annotations"])
        | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
def test_garbage_is_read(garbage: Any) -> None:
    for alarm in read(garbage, OURS):
        assert Alarm.model_validate_json(alarm.model_dump_json()) == alarm
        alarm.identity.encode()


@given(st.sampled_from(sorted(EVENTS.glob("*.json"))), JSON, st.integers(0, 40))
def test_a_known_event_with_one_wrong_value_is_read(path: Path, wrong: Any, at: int) -> None:
    given_ = json.loads(path.read_text())
    places: list[tuple[Any, Any]] = []
    inside = [given_]
    while inside:
        one = inside.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        places += [(one, key) for key in keys]
        inside += [one[key] for key in keys]
    holder, key = places[at % len(places)]
    holder[key] = wrong

    for alarm in read(given_, OURS):
        assert Alarm.model_validate_json(alarm.model_dump_json()) == alarm


@given(st.text(), st.integers(0, 2_000))
def test_cut_json_is_closed(tail: str, end: int) -> None:
    message = event("alertmanager-json")["Records"][0]["Sns"]["Message"]
    found, _ = parsed(message[:end] + tail)
    assert found is None or isinstance(found, (dict, list))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T03:12:07.086+0000", AT), ("2026-11-23T04:12:07.086+01:00", AT),
        ("2026-11-23T03:12:07.086Z", AT), ("2026-11-23T03:12:07.086000999Z", AT),
        ("2026-11-23 03:12:07.086 +0000 UTC", AT), ("2026-11-23T03:12:07.086", AT),
        ("0001-01-01T00:00:00Z", None), ("2026-13-23T03:12:07Z", None), ("", None), (7, None),
        ("9999-12-31T23:59:59-23:59", None), ("0001-01-01T00:00:00+23:59", None),
    ],
)  # fmt: skip
def test_times_are_read_in_utc(text: Any, at: datetime | None) -> None:
    assert moment(text) == at
