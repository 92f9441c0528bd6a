"""What an incident's logs are read for: small and large ones, busy, slow, gone, silent, hostile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws import logs, metric_data
from local.aws.logs import BoxLogs
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.errors import AwsError, Denied, Refused, Throttled
from watchkeeper.aws.log_events import Answer, Logs
from watchkeeper.triage import gathered, log_choice, log_plan
from watchkeeper.triage.alarm_model import Alarm, Kind
from watchkeeper.triage.gathered import Found, Gathered, Logged, Resource, Span
from watchkeeper.triage.log_lines import LONGEST, kept
from watchkeeper.triage.log_looks import LogLook
from watchkeeper.triage.log_plan import larges, named
from watchkeeper.triage.looking import Asked

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOW = TWO_O_CLOCK
BEGAN = NOW - 5 * MINUTE
SPAN = Span.of(BEGAN, NOW)
"""The baseline from 00:50, the window from 01:50."""
GROUP = "/aws/lambda/orders"
OTHER = "/ecs/rates"
ORDERS = Resource(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders", log_groups=[GROUP])
LARGE = 60_000
"""Bytes, where 50,000 are the most that is read whole."""
ERROR = "ERROR payment refused by acquirer"


class Box(ServiceBox):
    @property
    def logs(self) -> BoxLogs:
        return logs.installed_in(self)

    def say(
        self, text: str, at: datetime, times: int = 1, *, group: str = GROUP, stream: str = "a"
    ) -> None:
        """A message some times, a second apart."""
        logs.write(self, group, [(at + number * SECOND, stream, text) for number in range(times)])

    def fill(self, size: int = LARGE, group: str = GROUP) -> None:
        """Bytes of harmless talk, half an hour before the window."""
        self.say("GET /health 200 " + "x" * 958, SPAN.since - 30 * MINUTE, size // 1_000,
                 group=group)  # fmt: skip


@dataclass
class Waited:
    """The pauses of a look, and the time that it takes."""

    box: Box
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def elapsed(self) -> float:
        return sum(self.pauses)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, metric_data, logs, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        monkeypatch.setattr(log_choice, "SMALL", 50_000)
        yield box


@pytest.fixture
def waited(box: Box) -> Waited:
    return Waited(box)


def asked(*resources: Resource, **more: Any) -> Asked:
    asked = Asked("i", 0, SPAN, (), resources or (ORDERS,), {})
    return replace(asked, **more)


def look(waited: Waited, asked: Asked, logs: Any = None) -> Found:
    by = LogLook(logs or Logs(), ACCOUNT, waited.pause, waited.elapsed)
    found = by(asked, NOW)
    # Whatever is found can be stored, and is the same when it is read again.
    held = gathered.with_found(Gathered("i", 0, NOW, SPAN), found)
    assert gathered.to_json(gathered.from_json(gathered.to_json(held))) == gathered.to_json(held)
    return found


def said(found: Found) -> str:
    return "\n".join(f"{one.what}: {one.why}" for one in found.unchecked)


def one(found: Found) -> Logged:
    [logged] = found.logs
    return logged


def texts(lines: Sequence[gathered.Line]) -> list[str]:
    return [line.text for line in lines]


# ── Small logs ────────────────────────────────────────────────────────────────────────────────────


def test_a_small_log_is_read_whole(box: Box, waited: Waited) -> None:
    box.say("too early", SPAN.before - SECOND)
    box.say("all is well", SPAN.before, 3)
    box.say("b speaks", SPAN.since, stream="b")
    box.say(ERROR, SPAN.since + MINUTE, 2)
    found = look(waited, asked())
    logged = one(found)
    assert (logged.group, logged.resources) == (GROUP, (ORDERS.arn,))
    assert texts(logged.before) == ["all is well"] * 3
    # By stream and then time, so that stack traces stay together.
    assert texts(logged.lines) == [ERROR, ERROR, "b speaks"]
    assert not logged.only_trouble
    assert logged.most == ""
    assert logged.last_at == SPAN.since + MINUTE + SECOND
    assert logged.until == NOW - 2 * MINUTE
    assert not found.unchecked
    assert dict(found.used) == {"filter_requests": 2.0, "metrics_requested": 2.0}
    assert "aws logs filter-log-events --log-group-name /aws/lambda/orders" in logged.how
    assert "2026-11-23T00:50:00Z to 2026-11-23T02:00:00Z" in logged.how
    assert "$252Faws$252Flambda$252Forders" in logged.link


def test_lines_are_redacted_cut_and_whole_characters(
    box: Box, waited: Waited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_choice, "SMALL", 4_000_000)
    box.say("password=hunter2xyz given", SPAN.since)
    box.say("x" * 1_000_000, SPAN.since + SECOND)
    box.say("half \ud83d of one\r\n", SPAN.since + 2 * SECOND)
    redacted, long, broken = texts(one(look(waited, asked())).lines)
    assert "hunter2xyz" not in redacted
    assert len(long) == LONGEST + 1
    assert broken == "half \N{REPLACEMENT CHARACTER} of one"


@given(st.text(st.characters(codec=None), max_size=50), st.integers(0, LONGEST + 2_000))
def test_every_text_can_be_stored(text: str, before: int) -> None:
    shown = kept("x " * (before // 2) + text)
    assert len(shown) <= LONGEST + 1
    assert shown.encode().decode() == shown


def test_empty_pages_are_read_through_and_too_many_are_said(box: Box, waited: Waited) -> None:
    box.say(ERROR, SPAN.since)
    box.logs.empty_pages = 3
    assert texts(one(look(waited, asked())).lines) == [ERROR]
    box.logs.empty_pages = 99
    assert "only the first 0 messages of the window" in one(look(waited, asked())).most


def test_more_lines_than_are_kept(
    box: Box, waited: Waited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_plan, "MOST_LINES", 10)
    box.say("usual", SPAN.before, 30)
    box.say(ERROR, SPAN.since, 11)
    logged = one(look(waited, asked()))
    assert len(logged.before) == len(logged.lines) == 10
    assert logged.before[-1].at == SPAN.before + 29 * SECOND
    assert logged.lines[0].at == SPAN.since
    assert "only the first 10 of 11 messages of the window were kept" in logged.most
    assert "only the last 10 of 30 messages of the hour before were kept" in logged.most


def test_what_has_not_arrived_yet_is_not_called_complete(box: Box, waited: Waited) -> None:
    box.logs.lag = MINUTE
    box.say("on its way", NOW - 30 * SECOND)
    logged = one(look(waited, asked()))
    assert texts(logged.lines) == []
    assert logged.until == NOW - 2 * MINUTE
    assert max(at for at, _ in logged.counts) <= NOW - 3 * MINUTE


# ── Counts and silence ────────────────────────────────────────────────────────────────────────────


def test_a_log_that_went_silent(box: Box, waited: Waited) -> None:
    for minute in range(60):
        box.say("tick", SPAN.before + minute * MINUTE)
    logged = one(look(waited, asked()))
    assert logged.last_at == SPAN.since - MINUTE
    counted = dict(logged.counts)
    assert counted[SPAN.since - MINUTE] == 1.0
    # Settled minutes without a count had no message; later ones are not known.
    assert [counted[SPAN.since + number * MINUTE] for number in range(5)] == [0.0] * 5
    assert SPAN.since + 5 * MINUTE not in counted


def test_counts_that_lag_behind_the_messages_are_no_silence(box: Box, waited: Waited) -> None:
    box.logs.count_lag = 9 * MINUTE
    for minute in range(70):
        box.say("tick", SPAN.before + minute * MINUTE)
    logged = one(look(waited, asked()))
    assert all(value == 1.0 for _, value in logged.counts)
    assert logged.last_at == NOW - MINUTE


def test_a_group_that_never_spoke(box: Box, waited: Waited) -> None:
    box.client("logs").create_log_group(logGroupName=GROUP)
    logged = one(look(waited, asked()))
    assert logged.last_at is None
    assert {value for _, value in logged.counts} == {0.0}


# ── Large logs ────────────────────────────────────────────────────────────────────────────────────


def test_a_large_log_is_asked_for_words_of_trouble(box: Box, waited: Waited) -> None:
    box.fill()
    box.say("usual error", SPAN.before, 2)
    box.say(ERROR, SPAN.since, 3)
    box.say("all is well", SPAN.since, 3)
    found = look(waited, asked())
    logged = one(found)
    assert logged.only_trouble
    assert texts(logged.before) == ["usual error"] * 2
    assert texts(logged.lines) == [ERROR] * 3
    assert logged.most == ""
    assert found.used["insights_bytes"] > LARGE
    assert found.pending == ()
    assert not waited.pauses
    assert logged.how.count("aws logs start-query --log-group-names /aws/lambda/orders") == 2
    assert "logs-insights" in logged.link


def test_of_too_many_rows_the_nearest_to_the_onset(
    box: Box, waited: Waited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_plan, "MOST_ROWS", 10)
    box.fill()
    box.say("usual error", SPAN.since - MINUTE, 30)
    box.say(ERROR, SPAN.since + SECOND, 11)
    logged = one(look(waited, asked()))
    assert logged.before[-1].at == SPAN.since - 31 * SECOND
    assert logged.lines[0].at == SPAN.since + SECOND
    assert len(logged.before) == len(logged.lines) == 10
    assert "only the first 10 of 11 messages with words of trouble of the window" in logged.most
    assert "only the last 10 of 30" in logged.most


def test_a_cut_message_is_fetched_whole_once_of_each_kind(box: Box, waited: Waited) -> None:
    box.fill()
    long = "ERROR " + "frame " * 500
    box.say(long, SPAN.since, 3)
    assert texts(one(look(waited, asked())).lines) == [long, long[:1_000], long[:1_000]]


def test_slow_queries_are_waited_for(box: Box, waited: Waited) -> None:
    box.fill()
    box.say(ERROR, SPAN.since)
    box.logs.polls = 5
    assert texts(one(look(waited, asked())).lines) == [ERROR]
    assert waited.pauses == [1.0] * 5


def test_a_query_that_takes_longer_is_collected_at_the_next_look(box: Box, waited: Waited) -> None:
    box.fill()
    box.say(ERROR, SPAN.since)
    box.logs.polls = 30
    first = look(waited, asked())
    assert not first.logs
    assert "had not answered after 20 s: its answer is read at the next look" in said(first)
    assert "of orders" in said(first)
    assert sum(waited.pauses) <= 20
    assert len(first.pending) == 2
    box.logs.polls = 0
    later = replace(SPAN, until=NOW + 2 * MINUTE)
    box.say("ERROR since then", NOW + MINUTE)
    box.clock.run_for(2 * MINUTE)
    second = look(waited, asked(look=1, span=later, pending=first.pending))
    assert texts(one(second).lines) == [ERROR, "ERROR since then"]
    assert not second.unchecked
    assert second.pending == ()
    # Two of the first look, and one for what has come since: nothing was asked twice.
    assert len(box.logs.started) == 3


def test_an_answer_that_is_there_is_not_paid_for_twice(box: Box, waited: Waited) -> None:
    box.fill()
    slow = Slow(Logs(), "before")
    first = look(waited, asked(), slow)
    assert len(first.pending) == 2
    second = look(waited, asked(look=1, pending=first.pending))
    both = first.used.get("insights_bytes", 0) + second.used["insights_bytes"]
    assert len(box.logs.started) == 2
    assert both == pytest.approx(sum(one.scanned[0] for one in box.logs.started.values()))


class Slow:
    """Logs whose queries about a part of the time do not end."""

    def __init__(self, logs: Logs, part: str) -> None:
        self.logs = logs
        self.query = log_plan.QUERIES[part]
        self.slow: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logs, name)

    def ask(self, groups: Any, query: str, span: Any, limit: int) -> str:
        found = self.logs.ask(groups, query, span, limit)
        self.slow |= {found} if query == self.query else set()
        return found

    def answer(self, query: str) -> Answer:
        return Answer("Running") if query in self.slow else self.logs.answer(query)


def test_a_forgotten_query_is_asked_again(box: Box, waited: Waited) -> None:
    box.fill()
    box.say(ERROR, SPAN.since)
    box.logs.polls = 30
    first = look(waited, asked())
    box.logs.polls = 0
    for query in list(box.logs.started):
        box.logs.forget(query)
    second = look(waited, asked(look=1, pending=first.pending))
    assert texts(one(second).lines) == [ERROR]
    assert not second.unchecked


def test_the_last_look_hands_nothing_on_and_leaves_nothing_running(
    box: Box, waited: Waited
) -> None:
    box.fill()
    box.logs.polls = 99
    found = look(waited, asked(look=2))
    assert found.pending == ()
    assert "this is the last look" in said(found)
    assert {one.status for one in box.logs.started.values()} == {"Cancelled"}


def test_what_nobody_waits_for_is_stopped(box: Box, waited: Waited) -> None:
    box.fill()
    box.logs.polls = 30
    first = look(waited, asked())
    box.logs.polls = 0
    other = Resource("arn:aws:ecs:r:1:service/c/rates", log_groups=[OTHER])
    box.say("hello", SPAN.since, group=OTHER)
    found = look(waited, asked(other, look=1, pending=first.pending))
    assert [one.group for one in found.logs] == [OTHER]
    assert {one.status for one in box.logs.started.values()} == {"Cancelled"}


@pytest.mark.parametrize("garbage", ["", "{}", "[1,2]", '["a","b","c","d","e",1,true]', "\x00"])
def test_pending_that_cannot_be_read_is_asked_again(box: Box, waited: Waited, garbage: str) -> None:
    box.fill()
    box.say(ERROR, SPAN.since)
    found = look(waited, asked(look=1, pending=[garbage]))
    assert texts(one(found).lines) == [ERROR]


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout", "Unknown"])
def test_a_query_that_fails_is_not_called_clean(box: Box, waited: Waited, status: str) -> None:
    box.fill()
    box.logs.ends_as = status
    found = look(waited, asked())
    assert not found.logs
    assert f"Logs Insights ended the query as {status}" in said(found)


def test_with_the_quota_reached_the_log_is_filtered(box: Box, waited: Waited) -> None:
    box.fill()
    box.say("usual error", SPAN.before)
    box.say(ERROR, SPAN.since)
    box.say("all is well", SPAN.since)
    box.logs.quota = 1
    logged = one(look(waited, asked()))
    assert logged.only_trouble
    assert texts(logged.before) == ["usual error"]
    assert texts(logged.lines) == [ERROR]
    assert logged.most == ""
    assert {one.status for one in box.logs.started.values()} == {"Cancelled"}


def test_a_large_log_that_can_only_be_filtered_and_not_to_its_end(box: Box, waited: Waited) -> None:
    """A baseline that was not read is none: whatever came later would look new."""
    box.fill()
    box.say(ERROR, SPAN.since)
    box.logs.quota, box.logs.empty_pages = 0, 99
    found = look(waited, asked())
    assert not found.logs
    assert "Logs Insights takes no more queries now, and reading it all takes" in said(found)


def test_infrequent_access_is_queried_however_small(box: Box, waited: Waited) -> None:
    box.say(ERROR, SPAN.since)
    box.logs.kinds[GROUP] = "INFREQUENT_ACCESS"
    logged = one(look(waited, asked()))
    assert logged.only_trouble
    assert texts(logged.lines) == [ERROR]
    box.logs.quota = 0
    assert "LimitExceededException" in said(look(waited, asked()))


# ── Which groups ──────────────────────────────────────────────────────────────────────────────────


def test_groups_that_do_not_exist_are_said_a_line_per_resource(box: Box, waited: Waited) -> None:
    database = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:"
    names = [f"/aws/rds/instance/a/{log}" for log in ("postgresql", "error")]
    box.say("fine", SPAN.since, group=names[0])
    found = look(
        waited,
        asked(
            ORDERS,
            Resource(f"{database}a", log_groups=names),
            Resource(f"{database}b", log_groups=["/aws/rds/instance/b/error", "/b"]),
            Resource(f"{database}c", log_groups=[names[0], "/by/tag"]),
            Resource(f"{database}d"),
        ),
    )
    assert said(found).splitlines() == [
        'the logs of orders: there is no such log group: looked for "/aws/lambda/orders"',
        'the logs of b: there is no such log group: looked for "/aws/rds/instance/b/error", "/b"',
        'the logs of c: there is no such log group: looked for "/by/tag"',
    ]
    assert one(found).resources == (f"{database}a", f"{database}c")


def test_log_alarms_name_groups_by_name_or_arn(box: Box, waited: Waited) -> None:
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
    box.say(ERROR, SPAN.since)
    names = (
        f"{arn}{GROUP}:*", GROUP, "/gone", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/there",
        "not a name!", "$(rm -rf)", "",
    )  # fmt: skip
    alarm = Alarm(identity="i", key="k", kind=Kind.LOG, log_groups=names)
    found = look(waited, asked(alarms=(alarm,)))
    assert one(found).group == GROUP
    assert '"/gone": it is not there' in said(found)
    assert "in eu-west-1, and only those here are read" in said(found)
    assert said(found).count("this is no name of a log group") == 2


def test_groups_by_prefix_and_no_more_than_five(box: Box, waited: Waited) -> None:
    for number in range(7):
        box.say("x", SPAN.since, group=f"/eks/c/{number}")
    box.say("mine", SPAN.since)
    beside = Resource("arn:aws:eks:r:1:cluster/c", beside="it calls", log_groups=["/eks/c/*"])
    found = look(waited, asked(beside, ORDERS))
    assert [one.group for one in found.logs] == [GROUP, *(f"/eks/c/{n}" for n in range(4))]
    assert '"/eks/c/4": 5 log groups are read for an incident' in said(found)


def test_nothing_named_is_nothing_found(waited: Waited) -> None:
    assert look(waited, asked(Resource("arn:aws:ec2:r:1:instance/i-0"))) == Found(
        logs=[], unchecked=[], used={}, pending=()
    )


# ── What AWS refuses ──────────────────────────────────────────────────────────────────────────────


class Refusing:
    """Logs that answer one of their methods with an error."""

    def __init__(self, method: str, error: AwsError) -> None:
        self.logs = Logs()
        self.method = method
        self.error = error

    def __getattr__(self, name: str) -> Any:
        return self._refuse if name == self.method else getattr(self.logs, name)

    def _refuse(self, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("kind", [Denied, Throttled, Refused])
@pytest.mark.parametrize("method", ["groups", "volumes", "pages", "ask", "answer", "whole"])
def test_no_error_leaves_the_look_and_nothing_unread_is_called_read(
    box: Box, waited: Waited, method: str, kind: type[AwsError]
) -> None:
    box.fill(group=OTHER)
    box.say(ERROR, SPAN.since)
    box.say(f"{ERROR} {'y' * 2_000}", SPAN.since, group=OTHER)
    rates = Resource("arn:aws:ecs:r:1:service/c/rates", log_groups=[OTHER])
    error = kind(f"logs:{method}", "Code", "its message")
    found = look(waited, asked(ORDERS, rates), Refusing(method, error))
    read = {one.group for one in found.logs if one.lines}
    if method == "volumes":
        assert "how much came into the logs: logs:volumes answered Code" in said(found)
        assert all(one.counts == [] for one in found.logs)
    for resource, group in (("orders", GROUP), ("rates", OTHER)):
        not_read = [one for one in said(found).splitlines() if resource in one.partition(": ")[0]]
        assert (group in read) != bool(not_read)


# ── The plan ──────────────────────────────────────────────────────────────────────────────────────


def test_the_budget_is_shared_and_what_small_ones_leave_is_used() -> None:
    sizes = {"huge": 4e9, "large": 0.8e9, "small": 0.1e9, "unknown": None}
    plans = {one.group: one for one in larges(sizes, SPAN, 20_000)}
    for whole in ("small", "unknown"):
        assert [(one.since, one.until) for one in plans[whole].pieces] == [
            (SPAN.since, SPAN.until), (SPAN.before, SPAN.since),
        ]  # fmt: skip
        assert plans[whole].most == ""
    for part in ("huge", "large"):
        window, before = plans[part].pieces
        assert window.since == before.until == SPAN.since
        assert "only what it said from" in plans[part].most
    asked = sum((one.until - one.since).total_seconds() for one in plans["huge"].pieces)
    total = (SPAN.until - SPAN.before).total_seconds()
    assert asked / total == pytest.approx(0.45 / 4)


def test_of_a_log_beyond_all_measure_nothing_is_asked() -> None:
    [plan] = larges({"huge": 1e13}, SPAN, 20_000)
    assert plan.pieces == ()
    assert plan.most


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3),
                       st.none() | st.floats(0, 1e12), max_size=5))  # fmt: skip
def test_no_plan_scans_more_than_its_budget(sizes: dict[str, float | None]) -> None:
    whole = (SPAN.until - SPAN.before).total_seconds()
    scanned = 0.0
    for plan in larges(sizes, SPAN, 20_000):
        asked = sum((one.until - one.since).total_seconds() for one in plan.pieces)
        scanned += (sizes[plan.group] or 0.0) * asked / whole
    assert scanned <= log_plan.SCANNED * 1.000_1


def test_alarms_come_first_and_neighbours_last() -> None:
    beside = Resource("b", beside="it calls", log_groups=["/b"])
    own = Resource("o", log_groups=["/o", "/shared"])
    alarm = Alarm(identity="i", key="k", kind=Kind.LOG, log_groups=("/alarm", "/shared"))
    names, refused = named(asked(beside, own, alarms=(alarm,)), REGION, ACCOUNT)
    assert [(one.name, one.resources) for one in names] == [
        ("/alarm", ()), ("/shared", ("o",)), ("/o", ("o",)), ("/b", ("b",)),
    ]  # fmt: skip
    assert refused == []


def test_a_message_of_a_shared_second_is_found_once(box: Box, waited: Waited) -> None:
    box.fill()
    box.logs.polls = 30
    middle = NOW - MINUTE + timedelta(milliseconds=500)
    first = look(waited, asked(span=replace(SPAN, until=middle)))
    box.logs.polls = 0
    for part in (400, 500, 600):
        box.say(ERROR, NOW - MINUTE + timedelta(milliseconds=part))
    second = look(waited, asked(look=1, pending=first.pending))
    assert len(one(second).lines) == 3


def test_no_query_is_made_from_text(box: Box, waited: Waited) -> None:
    box.fill()
    box.say("ERROR | limit 1 /", SPAN.since)
    found = look(waited, asked())
    assert "| limit 1 /" not in one(found).how
    assert texts(one(found).lines) == ["ERROR | limit 1 /"]
