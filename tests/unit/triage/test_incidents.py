"""Which alarms are one incident, what people are told of it, and how it hangs together."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.triage.incident_items import last_restored, last_stored, restored, stored
from watchkeeper.triage.incident_records import ALARM, OK, SILENT, Incident, key_of
from watchkeeper.triage.incidents import (
    EPISODE,
    MOST_MEMBERS,
    MOST_NAMES,
    RECURRENCE,
    SETTLE,
    TOGETHER,
    UNPROVED,
    close,
    home,
    join,
    settle,
)
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.telling import APART, Kind, Told, after, tells_at, to_tell, wakes_at
from watchkeeper.triage.tree import By, tree

START = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Change:
    """What the grouping reads of an alarm."""

    name: str = "cpu"
    at: datetime = START
    state: str = ALARM
    severity: Severity = Severity.MEDIUM
    resources: Sequence[str] = ()
    children: Sequence[str] = ()
    is_muted: bool = False
    is_ours: bool = False

    @property
    def key(self) -> str:
        return f"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:{self.name}"


def arn(name: str) -> str:
    return Change(name).key


def of(*changes: Change, now: datetime | None = None) -> Incident:
    """One incident of them, as they come."""
    incident: Incident | None = None
    for one in changes:
        incident = join(incident, one, now or one.at)
    assert incident is not None
    return incident


def paged(incident: Incident, now: datetime = START) -> Incident:
    told = to_tell(incident, now)
    assert told is not None
    return after(incident, told)


def end_state(incident: Incident) -> Incident:
    """Without what says who was first to be heard, and what was told."""
    return replace(incident, id="", opened_at=START, last=None)


# --- Which incident ------------------------------------------------------------------------------

FIRST = Change("cpu", resources=["arn:db"])
HUSHED = Change("hushed", is_muted=True)


@pytest.mark.parametrize(
    ("alarm", "why"),
    [
        (Change("cpu", START + 3 * timedelta(hours=1), OK), "the same alarm"),
        (Change("cpu", START + 3 * timedelta(hours=1)), "the same alarm"),
        (Change("all", START + MINUTE, children=[arn("cpu")]), "a composite and its children"),
        (Change("io", START + timedelta(hours=2), resources=["arn:db"]), "the same resource"),
        (Change("web", START + TOGETHER), "the same minutes"),
        (Change("web", START - TOGETHER), "the same minutes"),
        (Change("web", START + TOGETHER + SECOND), ""),
        (Change("web", START - TOGETHER - SECOND), ""),
        (Change("cpu", START + EPISODE + SECOND), ""),
        (Change("cpu", START + EPISODE + SECOND, OK), "of an episode that is over"),
    ],
)
def test_an_alarm_belongs_to_an_open_incident(alarm: Change, why: str) -> None:
    incident = of(FIRST)

    found = home([incident], alarm)

    assert found.why == why
    assert found.incident is (incident if why else None)


def test_a_child_heard_after_its_composite_belongs_to_it() -> None:
    incident = of(Change("all", children=[arn("late")]))

    assert home([incident], Change("late", START + timedelta(hours=1))).incident is incident


def test_the_closest_relation_wins_and_then_the_oldest_incident() -> None:
    older, newer = of(Change("a")), of(Change("b", START + 5 * MINUTE))

    assert home([newer, older], Change("c", START + 6 * MINUTE)).incident is older
    assert home([newer, older], Change("b", START + 6 * MINUTE)).incident is newer


def test_recurrence_is_linked_and_counted() -> None:
    first = close(of(FIRST, replace(FIRST, at=START + MINUTE, state=OK)), START + 20 * MINUTE, "OK")
    again = replace(FIRST, at=START + timedelta(days=2))

    found = home([first], again)
    second = join(found.incident, again, again.at, found.before)

    assert found.incident is None
    assert second is not None
    assert (second.follows, second.recurrence) == ((first.id,), 1)
    assert second.id != first.id
    assert home([first], replace(FIRST, at=START + RECURRENCE + timedelta(days=1))).before is None
    assert home([first], Change("other", again.at)).before is None
    # Its OK is the second one's, and a late repeat of the first one's is the first one's.
    both = [first, second]
    assert home(both, replace(again, at=again.at + MINUTE, state=OK)).incident is second
    assert home(both, FIRST).incident is first


def test_an_alarm_whose_ok_was_lost_is_not_silent_for_ever() -> None:
    incident = paged(of(FIRST))
    again = replace(FIRST, at=START + timedelta(days=3))

    found = home([incident], again)
    second = join(found.incident, again, again.at, found.before)

    assert second is not None
    assert found.before is incident  # still open: its keeper closes it
    assert to_tell(second, again.at) is not None


def test_ours_open_nothing_and_change_nothing() -> None:
    incident = of(FIRST)

    assert join(None, Change(is_ours=True), START) is None
    assert join(incident, Change("x", is_ours=True), START) is incident


# --- What it becomes -----------------------------------------------------------------------------


def test_the_same_change_again_or_by_another_route_is_the_very_same_incident() -> None:
    incident = of(FIRST)

    assert join(incident, FIRST, START + timedelta(hours=1)) is incident
    assert join(incident, replace(FIRST, resources=[]), START) is incident


def test_an_ok_that_overtakes_its_alarm_ends_the_incident_all_the_same() -> None:
    ok = Change(at=START + MINUTE, state=OK)

    early = of(ok)
    incident = of(ok, Change())

    assert to_tell(early, START + MINUTE) is None
    assert to_tell(incident, START + MINUTE) is not None
    assert settle(incident, START + MINUTE + SETTLE).closed_at == START + MINUTE + SETTLE
    assert end_state(incident) == end_state(of(Change(), ok))


@pytest.mark.parametrize(
    ("changes", "settles"),
    [
        ([Change()], None),
        ([Change(), Change(state=OK, at=START + MINUTE)], MINUTE + SETTLE),
        ([Change(), Change(state=SILENT, at=START + MINUTE)], MINUTE + UNPROVED),
        ([Change(), Change(state="strange", at=START + MINUTE)], MINUTE + UNPROVED),
        ([Change(), Change("b"), Change(state=OK, at=START + MINUTE)], None),
        ([Change(), HUSHED, Change(state=OK, at=START + MINUTE)], MINUTE + SETTLE),
        ([Change(), Change(state=OK)], None),  # of the same moment: the worse is believed
        ([Change(is_muted=True)], SETTLE),
    ],
)  # fmt: skip
def test_resolution(changes: list[Change], settles: timedelta | None) -> None:
    incident = of(*changes)

    if settles is None:
        assert settle(incident, START + timedelta(days=30)) is incident
    else:
        assert settle(incident, START + settles - SECOND) is incident
        assert settle(incident, START + settles).closed_at == START + settles


def test_a_change_from_far_ahead_does_not_make_the_true_ones_look_old() -> None:
    wrong = Change(at=START + timedelta(days=3000))

    incident = of(wrong, Change(at=START + MINUTE, state=OK), now=START)

    assert incident.members[key_of(wrong.key)].state == OK


def test_more_members_than_there_is_room_for() -> None:
    low = [Change(f"low-{n}", severity=Severity.LOW) for n in range(MOST_MEMBERS)]
    incident = of(*low, Change("worst", START + MINUTE, severity=Severity.CRITICAL))

    assert len(incident.members) == MOST_MEMBERS
    assert key_of(arn("worst")) in incident.members
    assert incident.beyond == 1
    assert '"worst"' in str(to_tell(incident, START + MINUTE))


# --- What is told --------------------------------------------------------------------------------


def test_one_page_then_an_update_after_ten_minutes_with_all_that_came() -> None:
    incident = paged(of(Change("a")))
    for n in range(5):
        incident = join(incident, Change(f"b{n}", START + n * MINUTE), START) or incident
        assert to_tell(incident, START + n * MINUTE) is None
    assert wakes_at(incident) == START + APART

    told = to_tell(incident, START + APART)

    assert told is not None
    assert told.kind is Kind.CHANGED
    assert told.headline.startswith("6 alarms, medium, since 2026-11-23 03:12 UTC; ")
    assert to_tell(after(incident, told), START + timedelta(days=1)) is None


def test_a_more_severe_member_is_told_at_once_and_the_next_within_ten_minutes() -> None:
    incident = paged(of(Change("a", severity=Severity.LOW)))
    high = of_(incident, Change("b", START + MINUTE, severity=Severity.HIGH))

    told = to_tell(high, START + MINUTE)
    assert told is not None
    assert (told.severity, told.why) == (Severity.HIGH, "it is more severe than was told")
    worst = of_(after(high, told), Change("c", START + 2 * MINUTE, severity=Severity.CRITICAL))

    assert to_tell(worst, START + 2 * MINUTE) is None
    assert tells_at(worst) == START + MINUTE + APART
    assert to_tell(worst, START + MINUTE + APART) is not None


def of_(incident: Incident, *changes: Change) -> Incident:
    for one in changes:
        incident = join(incident, one, one.at) or incident
    return incident


def test_flapping_is_one_episode_told_once() -> None:
    incident: Incident | None = None
    told: list[Told] = []
    for n in range(60):  # ten hours of it
        now = START + n * 10 * MINUTE
        flap = Change(at=now, state=(ALARM, OK)[n % 2])
        incident = join(home([incident] if incident else [], flap).incident, flap, now)
        assert incident is not None
        incident = settle(incident, now + 9 * MINUTE)
        if one := to_tell(incident, now + 9 * MINUTE):
            told.append(one)
            incident = after(incident, one)

    assert [one.kind for one in told] == [Kind.OPENED, Kind.CHANGED]
    assert "1 flapping" in told[1].headline


def test_resolution_is_told_once_and_late_reports_tell_nothing_more() -> None:
    incident = paged(of(Change(), Change(at=START + MINUTE, state=OK)))
    over = settle(incident, START + timedelta(hours=1))

    told = to_tell(over, START + timedelta(hours=1))
    assert told is not None
    assert told.kind is Kind.RESOLVED
    assert "over: all are OK" in told.headline
    late = of_(after(over, told), Change(at=START - MINUTE), Change(at=START - 2 * MINUTE))
    assert to_tell(late, START + timedelta(days=1)) is None
    assert wakes_at(late) is None


def test_muted_alarms_are_recorded_and_page_nobody_until_one_is_not() -> None:
    muted = of(Change("a", is_muted=True, severity=Severity.CRITICAL))

    assert to_tell(muted, START) is None
    assert len(muted.members) == 1
    told = to_tell(of_(muted, Change("b", severity=Severity.LOW)), START)
    assert told is not None
    assert told.severity is Severity.LOW


def test_what_others_wrote_is_quoted() -> None:
    told = to_tell(of(Change("\x1b[2J<script>\r\nok\ud800{0}%s" + "x" * 1_000_000)), START)

    assert told is not None
    assert told.headline.isprintable()
    assert len(told.headline) < 300


# --- How it hangs together -----------------------------------------------------------------------


def test_the_tree() -> None:
    incident = of(
        Change("all", START + MINUTE, severity=Severity.HIGH, children=[arn("a"), arn("b")]),
        Change("a"),
        Change("b", START + SECOND),
        *(Change(f"db{n}", START, resources=["arn:db", f"arn:{n}"]) for n in range(3)),
        *(Change(f"m{n}", START + 2 * MINUTE) for n in range(2)),
        Change("alone", START + 4 * MINUTE),
        Change("fine", START, OK),
        Change("hushed", START, is_muted=True),
    )

    assert [(one.by, one.what, one.count) for one in tree(incident)] == [
        (By.COMPOSITE, "all", 3),
        (By.RESOURCE, "arn:db", 3),
        (By.MINUTE, "2026-11-23T03:14Z", 2),
        (By.ALARM, "alone", 1),
    ]
    assert [one.what for one in tree(incident)[0].branches] == ["a", "b"]


@pytest.mark.parametrize(
    "changes",
    [
        [Change("a", children=[arn("b")]), Change("b", children=[arn("a")])],
        [Change("a", children=[arn("a")])],
        [Change(f"c{n}", children=[arn(f"c{n + 1}")]) for n in range(300)],
        [Change(f"p{n}", children=[arn("x")]) for n in range(3)] + [Change("x")],
        [Change(f"u{n}", START + n * MINUTE) for n in range(100)],
    ],
    ids=["circle", "itself", "chain", "shared child", "many"],
)
def test_every_raised_member_is_in_the_tree_once(changes: list[Change]) -> None:
    assert sum(one.count for one in tree(of(*changes))) == len(changes)


# --- The item ------------------------------------------------------------------------------------


def test_an_incident_survives_the_table_and_so_do_fields_of_a_newer_version() -> None:
    composite = Change("all", children=[arn("a")])
    incident = paged(of(composite, Change("a", resources=["arn:x"]), HUSHED))
    worse = of_(incident, Change("b", START + MINUTE, severity=Severity.CRITICAL))
    told = to_tell(worse, START + MINUTE)
    assert told is not None
    over = close(after(worse, told), START + MINUTE, "all are OK")

    for one in (incident, over, replace(over, follows=("x",), recurrence=2, unknown={"new": [1]})):
        assert restored(stored(one)) == replace(one, last=None)
        assert one.last is not None
        assert one.last == last_restored(json.loads(json.dumps(last_stored(one.last))))


def test_the_largest_incident_fits_an_item_by_far() -> None:
    long = "\N{SNOWMAN}" * 300
    changes = [
        Change(
            f"{n}{long}",
            START + raised * MINUTE,
            resources=[f"{n}-{one}-{long}" for one in range(5)],
            children=[f"{n}-{one}" for one in range(100)] if n < 20 else [],
        )
        for n in range(MOST_MEMBERS + 10)
        for raised in range(5 if n % 100 == 0 else 1)
    ]
    incident = of(*changes)
    flapping = {key: replace(one, raised=(one.at,) * 3) for key, one in incident.members.items()}

    item = stored(replace(incident, members=flapping))

    assert len(json.dumps(item, ensure_ascii=False).encode()) < 300_000


# --- The same whatever the order -----------------------------------------------------------------

CHANGES = st.builds(
    Change,
    name=st.sampled_from(["a", "b", "c", "d"]),
    at=st.integers(0, 8).map(lambda n: START + n * MINUTE),
    state=st.sampled_from([ALARM, OK, SILENT]),
    severity=st.sampled_from(list(Severity)),
    resources=st.lists(st.sampled_from(["arn:1", "arn:2", "arn:3"]), max_size=3),
    children=st.lists(st.sampled_from([arn("a"), arn("b")]), max_size=2),
    is_muted=st.booleans(),
)


@given(st.lists(CHANGES, min_size=1, max_size=12), st.data())
@settings(max_examples=200, deadline=None)
def test_order_and_repeats_do_not_matter(changes: list[Change], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(changes + changes[::2]))

    here, there = (of(*some, now=START + TOGETHER) for some in (changes, shuffled))

    assert end_state(here) == end_state(there)
    assert sum(one.count for one in tree(here)) == len(here.raised())
    assert restored(stored(here)) == replace(here, last=None)


def names(changes: Iterable[Change]) -> set[str]:
    return {one.name for one in changes}


def test_only_the_telling_members_are_named() -> None:
    many = [Change(f"n{n:03d}", START + n * SECOND) for n in range(MOST_NAMES + 50)]

    incident = of(*many)
    backwards = of(*many[::-1])

    assert set(incident.names.values()) == names(many[:MOST_NAMES])
    assert end_state(backwards) == end_state(incident)
