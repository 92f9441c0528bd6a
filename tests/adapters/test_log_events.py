"""CloudWatch Logs in the box: what the adapter reads, and that the box answers as AWS does."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import logs, metric_data
from local.aws.logs import BoxLogs
from local.pace import INSTANT
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.errors import NotThere, OverQuota, Refused
from watchkeeper.aws.log_events import Group, Logs, Message
from watchkeeper.triage.log_plan import PATTERN, QUERIES

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
GROUP = "/aws/lambda/orders"
SINCE = TWO_O_CLOCK - HOUR
SPAN = (SINCE, TWO_O_CLOCK)


class Box(ServiceBox):
    @property
    def logs(self) -> BoxLogs:
        return logs.installed_in(self)

    def say(self, *texts: str, at: datetime = TWO_O_CLOCK - MINUTE, stream: str = "a") -> None:
        """Messages a second apart."""
        lines = [(at + number * SECOND, stream, text) for number, text in enumerate(texts)]
        logs.write(self, GROUP, lines)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, metric_data, logs, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("logs").create_log_group(logGroupName=GROUP)
        yield box


@pytest.fixture
def read() -> Logs:
    return Logs()


def all_of(read: Logs, pattern: str = "", since: datetime = SINCE) -> list[Message]:
    return [one for page in read.pages(GROUP, since, TWO_O_CLOCK, pattern) for one in page.messages]


def asked(read: Logs, part: str = "window", limit: int = 100) -> str:
    return read.ask([GROUP], QUERIES[part], SPAN, limit)


# ── Groups ────────────────────────────────────────────────────────────────────────────────────────


def test_groups_by_prefix_the_one_of_that_name_first(box: Box, read: Logs) -> None:
    for name in (f"{GROUP}-worker", f"{GROUP}/x", "/ecs/orders"):
        box.client("logs").create_log_group(logGroupName=name)
    box.logs.kinds[f"{GROUP}/x"] = "INFREQUENT_ACCESS"
    assert read.groups(GROUP) == [
        Group(GROUP), Group(f"{GROUP}-worker"), Group(f"{GROUP}/x", "INFREQUENT_ACCESS"),
    ]  # fmt: skip
    assert read.groups(GROUP, most=1) == [Group(GROUP)]
    assert read.groups("/none") == []


# ── FilterLogEvents ───────────────────────────────────────────────────────────────────────────────


def test_messages_of_a_time_oldest_first_with_its_end_excluded(box: Box, read: Logs) -> None:
    box.say("of the hour before", at=SINCE - timedelta(milliseconds=1))
    box.say("first", at=SINCE)
    box.say("second", at=SINCE + MINUTE, stream="b")
    box.say("just before", at=TWO_O_CLOCK - timedelta(milliseconds=1))
    box.say("of the next", at=TWO_O_CLOCK)
    assert all_of(read) == [
        Message(SINCE, "a", "first"),
        Message(SINCE + MINUTE, "b", "second"),
        Message(TWO_O_CLOCK - timedelta(milliseconds=1), "a", "just before"),
    ]


@pytest.mark.parametrize("empty", [0, 1, 3])
def test_empty_pages_are_not_the_end(box: Box, read: Logs, empty: int) -> None:
    box.logs.empty_pages = empty
    box.say(*["x" * 500_000] * 5, at=SINCE)
    assert len(all_of(read)) == 5
    pages = list(read.pages(GROUP, SINCE, TWO_O_CLOCK))
    assert [page.is_last for page in pages[:-1]] == [False] * (len(pages) - 1)
    assert pages[-1].is_last
    assert sum(not page.messages for page in pages) == 3 * empty


def test_terms_of_trouble(box: Box, read: Logs) -> None:
    box.say("GET / 200", "an error of theirs", "OutOfMemory: killed", "all is well", at=SINCE)
    assert [one.text for one in all_of(read, PATTERN)] == [
        "an error of theirs", "OutOfMemory: killed",
    ]  # fmt: skip


def test_no_pattern_is_longer_than_cloudwatch_takes() -> None:
    assert len(PATTERN) <= 1_024
    assert all(len(query) <= 10_000 for query in QUERIES.values())


def test_messages_that_came_just_now_are_not_shown_yet(box: Box, read: Logs) -> None:
    box.logs.lag = 90 * SECOND
    box.say("shown", at=TWO_O_CLOCK - 91 * SECOND)
    box.say("on its way", at=TWO_O_CLOCK - 89 * SECOND)
    assert [one.text for one in all_of(read)] == ["shown"]


def test_a_group_that_is_gone(box: Box, read: Logs) -> None:
    box.client("logs").delete_log_group(logGroupName=GROUP)
    with pytest.raises(NotThere):
        all_of(read)
    with pytest.raises(NotThere):
        asked(read)


def test_another_class_of_groups_cannot_be_filtered(box: Box, read: Logs) -> None:
    box.logs.kinds[GROUP] = "INFREQUENT_ACCESS"
    with pytest.raises(Refused):
        all_of(read)


def test_a_token_that_repeats_ends_the_pages(read: Logs) -> None:
    class Repeating:
        def filter_log_events(self, **_: Any) -> dict[str, Any]:
            return {"events": [], "nextToken": "the same"}

    read.client = Repeating()
    assert [page.is_last for page in read.pages(GROUP, *SPAN)] == [False, True]


# ── Logs Insights ─────────────────────────────────────────────────────────────────────────────────


def test_a_query_finds_words_of_trouble_in_its_order(box: Box, read: Logs) -> None:
    box.say("all is well", "ERROR one", "Connection refused", "fine", at=SINCE)
    box.say("ERROR of another time", at=SINCE - MINUTE)
    answer = read.answer(asked(read))
    assert answer.status == "Complete"
    found = [(one.at, one.stream, one.text) for one in answer.messages]
    assert found == [
        (SINCE + SECOND, "a", "ERROR one"), (SINCE + 2 * SECOND, "a", "Connection refused"),
    ]  # fmt: skip
    assert answer.scanned == len("all is wellERROR oneConnection refusedfine") + 4 * 26
    assert answer.matched == 2
    newest = read.answer(asked(read, "before", limit=1))
    assert [one.text for one in newest.messages] == ["Connection refused"]


def test_a_query_takes_its_time(box: Box, read: Logs) -> None:
    box.logs.polls = 2
    box.say("ERROR", at=SINCE)
    query = asked(read)
    statuses = [read.answer(query).status for _ in range(3)]
    assert statuses == ["Running", "Running", "Complete"]
    assert not read.answer(asked(read)).has_ended


def test_a_message_is_cut_and_can_be_had_whole(box: Box, read: Logs) -> None:
    long = "ERROR " + "x" * 5_000
    box.say(long, at=SINCE)
    [cut] = read.answer(asked(read)).messages
    assert cut.text == long[:1_000]
    assert read.whole(cut.pointer) == long
    with pytest.raises(NotThere):
        read.whole(f"{GROUP}@unknown")


def test_too_many_queries_at_a_time(box: Box, read: Logs) -> None:
    box.logs.quota, box.logs.polls = 1, 9
    first = asked(read)
    with pytest.raises(OverQuota):
        asked(read)
    read.stop(first)
    assert read.answer(first).status == "Cancelled"
    assert asked(read)


def test_stopping_what_has_ended_or_is_forgotten(box: Box, read: Logs) -> None:
    query = asked(read)
    read.answer(query)
    read.stop(query)
    box.logs.forget(query)
    read.stop(query)
    with pytest.raises(NotThere):
        read.answer(query)


@pytest.mark.parametrize("query", ["", "drop @message", "fields message | sort by x", "limit x"])
def test_the_box_refuses_what_it_does_not_understand(box: Box, query: str) -> None:
    with pytest.raises(ClientError) as caught:
        box.client("logs").start_query(
            logGroupName=GROUP, startTime=0, endTime=1, queryString=query or "|"
        )
    assert caught.value.response["Error"]["Code"] == "MalformedQueryException"


def test_the_box_counts_by_bin(box: Box) -> None:
    box.say("ERROR", "ERROR", at=SINCE)
    box.say("ERROR", at=SINCE + 5 * MINUTE)
    client = box.client("logs")
    query = client.start_query(
        logGroupNames=[GROUP],
        startTime=int(SINCE.timestamp()),
        endTime=int(TWO_O_CLOCK.timestamp()),
        queryString="filter @message like /(?i)error|x/ | stats count(*) as n by bin(5m)",
    )["queryId"]
    rows = client.get_query_results(queryId=query)["results"]
    assert [row[1]["value"] for row in rows] == ["1", "2"]


# ── Volume ────────────────────────────────────────────────────────────────────────────────────────


def test_volume_by_minute(box: Box, read: Logs) -> None:
    box.say("one", "two", at=SINCE + 5 * SECOND)
    box.say("three", at=SINCE + 3 * MINUTE)
    volume = read.volumes([GROUP, "/never/said"], *SPAN)
    assert volume[GROUP].events == [(SINCE, 2.0), (SINCE + 3 * MINUTE, 1.0)]
    assert volume[GROUP].bytes == [(SINCE, 58.0), (SINCE + 3 * MINUTE, 31.0)]
    assert not volume["/never/said"].events


def test_what_is_put_by_the_api_is_counted_as_well(box: Box, read: Logs) -> None:
    client = box.client("logs")
    client.create_log_stream(logGroupName=GROUP, logStreamName="s")
    stamp = int(TWO_O_CLOCK.timestamp() * 1000)
    client.put_log_events(
        logGroupName=GROUP, logStreamName="s", logEvents=[{"timestamp": stamp, "message": "x"}]
    )
    volume = read.volumes([GROUP], SINCE, TWO_O_CLOCK)
    assert volume[GROUP].events == [(TWO_O_CLOCK, 1.0)]
