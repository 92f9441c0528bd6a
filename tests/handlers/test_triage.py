"""From what breaks to what people read: alarms, logs, metrics and an audit trail, in the box, with
the function's own rights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.aws import cloudtrail, logs
from local.aws.performance_insights import put, put_event
from tests.crash.forks import aside
from tests.handlers.incidents import (
    BEGINS,
    CHECKOUT,
    DATABASE_LOG,
    FAILING,
    FULL,
    GROUP,
    HOUR,
    MINUTE,
    ORDERS,
    Account,
    account,
)  # fmt: skip
from watchkeeper.triage import log_queries

RAISED = BEGINS + MINUTE
"""The first bad minute is over."""
LOOKS = (RAISED, RAISED + 2 * MINUTE, RAISED + 15 * MINUTE)
CHANGED = BEGINS - 4 * MINUTE
LATE = 6 * MINUTE
"""CloudTrail tells of that change between the first look and the second."""
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def evening() -> Iterator[Account]:
    with account() as made:
        yield made


@dataclass
class Told:
    """What there is afterwards."""

    reports: list[dict[str, Any]]
    news: list[dict[str, Any]]
    pages: list[tuple[datetime, str, str]]
    page: str
    """The newest, as HTML."""
    failed: list[str]


def told(made: Account) -> Told:
    html = [body.decode() for key, body in made.objects().items() if key.endswith(".html")]
    return Told(made.reports(), made.news(), made.pages(), "".join(html), made.failed())


def story(
    made: Account, *, lasts: timedelta = 20 * MINUTE, until: timedelta = HOUR,
    before: Callable[[], object] = lambda: None, minute: Callable[[datetime, bool], object],
) -> Told:  # fmt: skip
    """Minute by minute: `before` at CHANGED, and `minute` with whether it is a bad one."""
    at = made.cloud.clock.now()
    while at < BEGINS + until:
        made.until(at)
        if at == CHANGED:
            before()
        minute(at, BEGINS <= at < BEGINS + lasts)
        at += MINUTE
    return told(made)


def texts(claims: list[dict[str, Any]]) -> str:
    return "\n".join(one["text"] for one in claims)


# ── A release ─────────────────────────────────────────────────────────────────────────────────────


def release(made: Account, **more: Any) -> str:
    return made.happened(
        "lambda UpdateFunctionCode20150331v2", CHECKOUT, LATE, role="release", session="mira",
        asked={"functionName": CHECKOUT, "s3Bucket": "builds", "s3Key": "checkout/7.zip"}, **more,
    )  # fmt: skip


def selling(made: Account) -> Callable[[datetime, bool], object]:
    """Orders are paid, or in a bad minute nine of ten are not."""

    def minute(at: datetime, is_bad: bool) -> None:
        took, swing = (3_010 if is_bad else 180), at.minute % 5
        made.measure(CHECKOUT, at, Invocations=10 + swing / 5, Errors=9 if is_bad else 0,
                     Duration=took + swing, Throttles=0)  # fmt: skip
        good = [f"INFO order {at:%H%M}{one} paid in {180 + one} ms" for one in range(10)]
        bad = [
            f"ERROR order {at:%H%M}{one} failed: ConnectTimeout: pay.example:443 did not answer"
            f" within 3000 ms (captain{one}@example.com)"
            for one in range(9)
        ]
        lines = [*bad, good[9]] if is_bad else good
        made.say(GROUP, *((at + one * SECOND, text) for one, text in enumerate(lines)))

    return minute


@pytest.fixture(scope="module")
def released(evening: Account) -> Told:
    return aside(lambda: story(evening, before=lambda: release(evening), minute=selling(evening)))


def test_a_release_that_breaks_a_function_is_found(released: Told) -> None:
    *_, last = released.reports
    place = "arn:aws:lambda:us-east-1:123456789012:function"

    assert released.failed == []
    assert (last["severity"], last["owner"]) == ("high", "team-shop")
    assert (last["hit"], last["suspects"]) == ([f"{place}:{CHECKOUT}"],) * 2
    assert (last["verdict"]["known"], last["verdict"]["category"]) == (True, "change")
    assert last["verdict"]["headline"].startswith("it began 4 min after UpdateFunctionCode")
    assert texts(last["changes"]).startswith("4 min before it began: ")
    assert "checkout/7.zip" in last["changes"][0]["lines"][0]
    assert 0 < last["cost_usd"] < 0.05


def test_what_is_new_in_its_log_is_counted_and_nobody_is_named(released: Told) -> None:
    for report, count in zip(released.reports, (9, 27, 144), strict=True):
        [error] = report["errors"]
        assert f"{count} in " in error["text"]
        assert f'{count} of {count} ConnectTimeout "pay.example:443"' in error["text"]
        assert "none in the hour before" in error["text"]
    assert "captain" not in released.page
    assert "captain" not in str(released.reports)


def test_what_a_later_look_finds_is_told_once_more_and_not_as_a_page_anew(released: Told) -> None:
    looks = [datetime.fromisoformat(one["made_at"]) for one in released.reports]
    known = [bool(one["changes"]) for one in released.reports]
    news = [(one["type"], datetime.fromisoformat(one["at"])) for one in released.news]

    assert (looks, known) == (list(LOOKS), [False, True, True])
    assert [one for one, _ in news] == ["IncidentOpened", "IncidentChanged", "IncidentResolved"]
    assert [at for _, at in news[:2]] == [RAISED, RAISED + 10 * MINUTE]
    assert [at for at, _, _ in released.pages] == [at for _, at in news]
    assert len({one["incident"] for one in released.news}) == 1


def test_people_read_it_on_a_telephone_and_on_the_page(released: Told) -> None:
    (_, first, text), (_, second, more), (_, third, _) = released.pages

    assert f'[high] "{FAILING}", since 03:40 UTC' in first
    assert "Update: [high]" in second
    assert "Over: [high]" in third
    assert "Changed: no change was found so far, until 03:26 UTC; CloudTrail tells later" in text
    assert "Cause: it began 4 min after UpdateFunctionCode by" in more
    for one in ("Severity high", "for team-shop", "/report.html", "ConnectTimeout"):
        assert one in more
    for one in ("checkout/7.zip", "ConnectTimeout", "team-shop", "Could not check"):
        assert one in released.page


def test_what_looking_costs_adds_up(released: Told) -> None:
    puts = [one["used"]["s3_puts"] for one in released.reports]

    assert puts == [puts[0], 2 * puts[0], 3 * puts[0]]
    assert released.reports[0]["cost_usd"] < released.reports[2]["cost_usd"]


# ── A database ────────────────────────────────────────────────────────────────────────────────────


def serving(made: Account) -> Callable[[datetime, bool], object]:
    """Sessions of a database, as many as it takes in a bad minute."""

    def minute(at: datetime, is_bad: bool) -> None:
        swing = 1 + at.minute % 11 / 100
        usual = {"CPUUtilization": 22.0, "FreeStorageSpace": 8e9, "FreeableMemory": 3e9,
                 "ReadLatency": 0.002, "WriteLatency": 0.003}  # fmt: skip
        told = {name: value * swing for name, value in usual.items()}
        told["DatabaseConnections"] = 99 if is_bad else 40 * swing
        made.measure(ORDERS, at, tell=True, **told)
        wait = ("Client", "ClientRead") if is_bad else ("CPU", "CPU")
        put(made.cloud, ORDERS, at, 6.0 if is_bad else 0.4, wait=wait, user="shop",
            statement="SELECT * FROM baskets WHERE id = ?")  # fmt: skip
        refused = "FATAL:  remaining connection slots are reserved for superusers"
        lines = [f"LOG:  checkpoint complete: wrote {at.minute} buffers"] + 5 * is_bad * [refused]
        made.say(DATABASE_LOG, *((at + one * SECOND, text) for one, text in enumerate(lines)))

    return minute


def test_a_database_out_of_connections_is_diagnosed(evening: Account) -> None:
    def resized() -> None:
        evening.happened("rds ModifyDBParameterGroup", ORDERS, LATE, role="ops", session="joe",
                         asked={"dBInstanceIdentifier": ORDERS})  # fmt: skip
        put_event(evening.cloud, ORDERS, "Updated to use a DBParameterGroup", CHANGED)

    end = aside(lambda: story(evening, before=resized, minute=serving(evening)))
    first, _, last = end.reports

    assert end.failed == []
    assert (last["owner"], last["verdict"]["category"]) == ("team-orders", "resource_exhaustion")
    assert f'"{ORDERS}": connection exhaustion' in last["verdict"]["headline"]
    assert "of 100 (max_connections)" in texts(last["verdict"]["claims"])
    assert "ModifyDBParameterGroup" in texts(last["changes"])
    assert "remaining connection slots" in texts(last["errors"])
    assert "DatabaseConnections" in texts(last["moved"])
    # One bad minute is enough to be told, and no recovery.
    assert not any("recovered" in one for one in first["usual"])
    assert "[high] " in end.pages[0][1]
    assert "connection exhaustion" in end.pages[-1][2]


# ── Silence ───────────────────────────────────────────────────────────────────────────────────────


def test_what_has_gone_silent_is_said(evening: Account) -> None:
    """The function's log and a metric stop as its alarm is raised, and the trail is off."""
    sell = selling(evening)

    def minute(at: datetime, is_bad: bool) -> None:
        if is_bad:
            evening.measure(CHECKOUT, at, Errors=9)
        elif at < BEGINS:
            sell(at, False)

    def off() -> None:
        aws = evening.cloud.client("cloudtrail")
        aws.stop_logging(Name="management-events")

    end = aside(lambda: story(evening, before=off, minute=minute, until=20 * MINUTE))
    *_, last = end.reports
    silent = texts(last["silences"])

    assert end.failed == []
    assert f'"{GROUP}"' in silent
    assert "Invocations" in silent
    assert "no trail logs what is changed" in silent
    assert "Silent: " in end.pages[-1][2]


# ── Suspicious ────────────────────────────────────────────────────────────────────────────────────


def test_an_intruder_at_the_same_resource_is_told(evening: Account) -> None:
    def intrusion() -> None:
        foreign = {"role": "release", "session": "mira", "address": "203.0.113.66"}
        release(evening, address="203.0.113.66")
        for action, asked in (
            ("iam CreateAccessKey", {"userName": "backdoor"}),
            ("cloudtrail StopLogging", {"name": "management-events"}),
        ):
            record = cloudtrail.record(evening.cloud.clock.now(), action, asked, **foreign)
            evening.trails.happened(record, LATE)

    end = aside(lambda: story(evening, before=intrusion, minute=selling(evening)))
    *_, last = end.reports
    grave = [one for one in last["suspicious"] if one["severity"] in ("high", "critical")]

    assert end.failed == []
    assert "StopLogging" in texts(grave)
    assert "203.0.113.66" in texts(grave)
    assert "about this incident's resources" in texts(last["suspicious"])
    assert "Intruder: " in end.pages[1][2]
    assert "StopLogging" in end.pages[1][2]


# ── What could not be looked at ───────────────────────────────────────────────────────────────────


DENIED = [
    ("logs", "FilterLogEvents", f'the logs "{GROUP}"'),
    ("cloudwatch", "GetMetricData", "metric"),
    ("cloudtrail", "DescribeTrails", "whether a trail logs"),
    ("resourcegroupstaggingapi", "GetResources", "tags"),
]


def test_what_is_refused_is_said_and_the_rest_is_told(evening: Account) -> None:
    def denied(service: str, operation: str) -> Told:
        mischief = evening.cloud.mischief
        mischief.fail(service, operation, "AccessDeniedException", "not for you", times=None)
        return story(evening, minute=selling(evening), until=5 * MINUTE)

    for service, operation, what in DENIED:
        end = aside(lambda: denied(service, operation))  # noqa: B023 (told before the next one)
        report = end.reports[-1]
        unchecked = "\n".join(one for one in report["unchecked"] if "AccessDenied" in one)
        assert end.failed == [], service
        assert what.lower() in unchecked.lower(), (service, report["unchecked"])
        assert "AccessDenied" in end.page, service
        assert end.pages, service


def test_queries_that_do_not_end_are_read_at_the_next_look(
    evening: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log that is too large to be read whole."""
    monkeypatch.setattr(log_queries, "PAUSE", 0.0)  # nobody waits 20 s for a box
    sell = selling(evening)
    chatter = "DEBUG " + "so much to say " * 30

    def large() -> None:
        times = (CHANGED - 40 * MINUTE + one * SECOND / 4 for one in range(10_000))
        logs.write(evening.cloud, GROUP, [(at, "two", chatter) for at in times])
        logs.installed_in(evening.cloud).takes = 90 * SECOND

    end = aside(lambda: story(evening, before=large, minute=sell, until=20 * MINUTE))
    first, second, last = end.reports

    assert end.failed == []
    assert any("its answer is read at the next look" in one for one in first["unchecked"])
    assert (first["errors"], bool(second["errors"]), bool(last["errors"])) == ([], True, True)
    assert "ConnectTimeout" in texts(second["errors"])
    assert first["used"].get("insights_bytes", 0) < last["used"]["insights_bytes"]


def test_two_alarms_of_one_minute_are_two_things(evening: Account) -> None:
    """Of resources that have nothing to do with each other, each with its own owner."""
    sell, serve = selling(evening), serving(evening)

    def minute(at: datetime, is_bad: bool) -> None:
        sell(at, is_bad)
        serve(at, is_bad)

    end = aside(lambda: story(evening, minute=minute, until=5 * MINUTE))

    assert end.failed == []
    names = {name for one in end.reports for name in (FAILING, FULL) if name in str(one["alarms"])}
    assert names == {FAILING, FULL}
    assert all(one["severity"] == "high" for one in end.reports)
