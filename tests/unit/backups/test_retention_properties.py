"""What holds for every history and every policy, and a second opinion that shares no code.

The second opinion (`second_opinion`) knows no slots and no walk through time: it sorts the recovery
points into named heaps and takes the newest of each.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchkeeper.backups.retention import Floor, Keep, Point, RetentionPlan, plan_retention
from watchkeeper.durations import Duration

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    UTC,
    BERLIN,
    ZoneInfo("America/New_York"),
    ZoneInfo("America/Sao_Paulo"),  # clocks went back at midnight: 23:00 came twice
    ZoneInfo("Australia/Lord_Howe"),  # by half an hour
    ZoneInfo("Antarctica/Troll"),  # by two hours
    ZoneInfo("Asia/Kathmandu"),  # 5:45 from UTC
    ZoneInfo("Pacific/Apia"),  # a day left out in 2011
]
COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
WITHIN = (
    "within",
    "within_hourly",
    "within_daily",
    "within_weekly",
    "within_monthly",
    "within_yearly",
)
FORMATS = {
    "hourly": "%Y-%m-%d %H ",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}

# --- Histories and policies ----------------------------------------------------------------------

# Around the days on which clocks change (in 2026, and Samoa's missing day), month ends, leap days
# and the turn of the year; dense enough that periods hold several recovery points.
ANCHORS = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 31, 12, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2021, 1, 1, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
STEPS = [
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=5),
    timedelta(days=1),
    timedelta(days=9),
    timedelta(days=40),
]
TIMES = st.builds(
    lambda anchor, step, number: anchor + step * number,
    st.sampled_from(ANCHORS),
    st.sampled_from(STEPS),
    st.integers(-12, 12),
)
TAGS = st.frozensets(st.sampled_from(["release", "hold"]), max_size=2)


@st.composite
def histories(
    draw: st.DrawFn,
    states: tuple[str, ...] = ("completed",),
    blockers: tuple[tuple[str, ...], ...] = ((),),
) -> list[Point]:
    times = draw(st.lists(TIMES, max_size=40))
    return [
        Point(
            id=f"snap-{number}",
            created_at=time,
            tags=draw(TAGS),
            state=draw(st.sampled_from(states)),
            blockers=draw(st.sampled_from(blockers)),
        )
        for number, time in enumerate(times)
    ]


MIXED = histories(
    states=("completed", "completed", "completed", "pending", "error"),
    blockers=((), (), ("locked until 2027-01-01",)),
)
DURATIONS = st.builds(
    Duration, st.integers(0, 2), st.integers(0, 3), st.integers(0, 20), st.integers(0, 30)
).filter(bool)


@st.composite
def policies(draw: st.DrawFn, rules: tuple[str, ...] = (*COUNTS, *WITHIN, "tags")) -> Keep:
    chosen = draw(st.sets(st.sampled_from(rules), min_size=1, max_size=4))
    policy: dict[str, object] = {}
    for rule in sorted(chosen):
        if rule in COUNTS:
            policy[rule] = draw(st.sampled_from([-1, 1, 2, 3, 5, 20]))
        elif rule in WITHIN:
            policy[rule] = draw(DURATIONS)
        else:
            choices = [["release"], ["hold"], ["release", "hold"], [""]]
            policy[rule] = draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2))
    return Keep.model_validate(policy)


zones = st.sampled_from(ZONES)
floors = st.builds(Floor, count=st.integers(0, 4), age=st.none() | DURATIONS)


def kept_ids(plan: RetentionPlan) -> set[str]:
    return {kept.point.id for kept in plan.kept}


# --- The second opinion --------------------------------------------------------------------------


def newest_first(points: list[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (-point.created_at.timestamp(), point.id))


def heap_name(point: Point, rule: str, zone: tzinfo) -> str:
    local = point.created_at.astimezone(zone)
    offset = str(local.utcoffset()) if rule == "hourly" and local.fold else ""
    return local.strftime(FORMATS[rule]) + offset


def newest_of_each_heap(points: list[Point], rule: str, zone: tzinfo) -> list[Point]:
    heaps: dict[str, list[Point]] = {}
    for point in points:
        heaps.setdefault(heap_name(point, rule, zone), []).append(point)
    return newest_first([newest_first(heap)[0] for heap in heaps.values()])


def days_in_month(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days


def steps_back(moment: datetime, duration: Duration, zone: tzinfo) -> datetime:
    """Month by month, overflowing into the next, then day by day, then hour by hour."""
    year, month = moment.astimezone(zone).year, moment.astimezone(zone).month
    for _ in range(duration.years * 12 + duration.months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    day = moment.astimezone(zone).day
    if day > days_in_month(year, month):
        day -= days_in_month(year, month)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    local_day = date(year, month, day)
    for _ in range(duration.days):
        local_day -= timedelta(days=1)
    if (duration.years, duration.months, duration.days) != (0, 0, 0):
        clock = moment.astimezone(zone).time().replace(fold=0)
        moment = datetime.combine(local_day, clock, tzinfo=zone).astimezone(UTC)
    for _ in range(duration.hours):
        moment -= timedelta(hours=1)
    return moment


def chosen_by_count(points: list[Point], rule: str, count: int, zone: tzinfo) -> list[Point]:
    ordered = newest_first(points)
    candidates = ordered if rule == "last" else newest_of_each_heap(points, rule, zone)
    if count == -1:
        count = len(points)
    left = count > len(candidates)
    return candidates[:count] + ([ordered[-1]] if left else [])


def chosen_within(points: list[Point], rule: str, length: Duration, zone: tzinfo) -> list[Point]:
    ordered = newest_first(points)
    since = steps_back(ordered[0].created_at, length, zone)
    reached = [point for point in points if point.created_at > since]
    if rule == "within":
        return reached
    in_reach = [ordered[-1]] if ordered[-1] in reached else []
    return newest_of_each_heap(reached, rule.removeprefix("within_"), zone) + in_reach


def second_opinion(points: list[Point], keep: Keep, zone: tzinfo) -> dict[str, set[str]]:
    """Each kept id with the rules that keep it; the newest stays in any case."""
    verdict: dict[str, set[str]] = {}
    for rule, setting in keep.model_copy():
        chosen: list[Point] = []
        if points and setting:
            if rule in COUNTS:
                chosen = chosen_by_count(points, rule, setting, zone)
            elif rule in WITHIN:
                chosen = chosen_within(points, rule, setting, zone)
            else:
                chosen = [p for p in points if any(wants(names, p.tags) for names in setting)]
        for point in chosen:
            verdict.setdefault(point.id, set()).add(rule.replace("_", "-"))
    if points:
        verdict.setdefault(newest_first(points)[0].id, {"newest"})
    return verdict


def wants(names: tuple[str, ...], tags: frozenset[str]) -> bool:
    return not tags if names == ("",) else all(name in tags for name in names)


@settings(max_examples=300)
@given(histories(), policies(), zones)
def test_both_opinions_agree_on_every_reason(points: list[Point], keep: Keep, zone: tzinfo) -> None:
    plan = plan_retention(points, keep, zone=zone)
    ours = {kept.point.id: set(kept.rules) for kept in plan.kept}
    assert ours == second_opinion(points, keep, zone)


# --- Safety --------------------------------------------------------------------------------------


@given(MIXED, policies(), zones, floors, TIMES)
def test_each_recovery_point_is_in_exactly_one_list_newest_first(
    points: list[Point], keep: Keep, zone: tzinfo, floor: Floor, now: datetime
) -> None:
    plan = plan_retention(points, keep, zone=zone, floor=floor, now=now)
    lists = [
        [kept.point for kept in plan.kept],
        [removed.point for removed in plan.removed],
        [blocked.point for blocked in plan.blocked],
        [uncounted.point for uncounted in plan.uncounted],
    ]
    assert newest_first([point for part in lists for point in part]) == newest_first(points)
    assert all(part == newest_first(part) for part in lists)
    assert all(kept.rules and kept.why for kept in plan.kept)
    assert all(removed.why.startswith("no rule keeps it: ") for removed in plan.removed)


@given(MIXED, policies(), zones, floors, TIMES)
def test_what_must_not_go_never_goes(
    points: list[Point], keep: Keep, zone: tzinfo, floor: Floor, now: datetime
) -> None:
    plan = plan_retention(points, keep, zone=zone, floor=floor, now=now)
    completed = newest_first([point for point in points if point.state == "completed"])
    present = [point for point in completed if point.created_at <= now]
    sacred = {point.id for point in completed[:1] + present[: max(1, floor.count)]}
    if floor.age:
        since = steps_back(now, floor.age, zone)
        sacred |= {point.id for point in completed if point.created_at > since}
    assert sacred <= kept_ids(plan)
    for removed in plan.removed:
        assert removed.point.state == "completed"
        assert removed.point.blockers == ()
    assert all(blocked.point.blockers for blocked in plan.blocked)


@given(MIXED, policies(), zones)
def test_what_is_not_completed_changes_nothing(
    points: list[Point], keep: Keep, zone: tzinfo
) -> None:
    completed = [point for point in points if point.state == "completed"]
    plan, alone = (plan_retention(some, keep, zone=zone) for some in (points, completed))
    assert (plan.kept, plan.removed, plan.blocked) == (alone.kept, alone.removed, alone.blocked)
    assert alone.uncounted == ()


@given(MIXED, policies(), zones, floors, TIMES)
def test_applying_a_plan_leaves_nothing_more_to_remove(
    points: list[Point], keep: Keep, zone: tzinfo, floor: Floor, now: datetime
) -> None:
    plan = plan_retention(points, keep, zone=zone, floor=floor, now=now)
    gone = {removed.point.id for removed in plan.removed}
    left = [point for point in points if point.id not in gone]
    again = plan_retention(left, keep, zone=zone, floor=floor, now=now)
    assert again.removed == ()
    assert kept_ids(plan) <= kept_ids(again)


@given(histories(), policies(), policies(), zones, floors, TIMES)
def test_a_further_rule_removes_nothing_more(
    points: list[Point], keep: Keep, more: Keep, zone: tzinfo, floor: Floor, now: datetime
) -> None:
    both = Keep.model_validate(
        more.model_dump(exclude_defaults=True) | keep.model_dump(exclude_defaults=True)
    )
    narrow = plan_retention(points, keep, zone=zone, floor=floor, now=now)
    wide = plan_retention(points, both, zone=zone, floor=floor, now=now)
    assert kept_ids(narrow) <= kept_ids(wide)


@given(histories(), st.sampled_from(COUNTS), st.integers(1, 30), zones)
def test_a_higher_count_keeps_a_superset(
    points: list[Point], rule: str, count: int, zone: tzinfo
) -> None:
    plans = [
        kept_ids(plan_retention(points, Keep.model_validate({rule: number}), zone=zone))
        for number in (count, count + 1, -1)
    ]
    assert plans[0] <= plans[1] <= plans[2]


@given(histories(), st.sampled_from(WITHIN), DURATIONS, st.integers(0, 50), zones)
def test_a_longer_duration_keeps_a_superset(
    points: list[Point], rule: str, length: Duration, hours: int, zone: tzinfo
) -> None:
    longer = Duration(length.years, length.months, length.days, length.hours + hours)
    short, long = (
        kept_ids(plan_retention(points, Keep.model_validate({rule: reach}), zone=zone))
        for reach in (length, longer)
    )
    assert short <= long


@given(histories(), policies(), st.integers(0, 5), zones)
def test_a_higher_floor_keeps_a_superset(
    points: list[Point], keep: Keep, count: int, zone: tzinfo
) -> None:
    low, high = (
        kept_ids(plan_retention(points, keep, zone=zone, floor=Floor(count=number)))
        for number in (count, count + 1)
    )
    assert low <= high


# --- What must not matter ------------------------------------------------------------------------


@given(MIXED, policies(), zones, st.randoms(use_true_random=False))
def test_the_order_of_input_does_not_matter(
    points: list[Point], keep: Keep, zone: tzinfo, random: Random
) -> None:
    plan = plan_retention(points, keep, zone=zone)
    shuffled = list(points)
    random.shuffle(shuffled)
    assert plan_retention(shuffled, keep, zone=zone) == plan
    assert plan_retention(iter(shuffled), keep, zone=zone) == plan


@given(MIXED, policies(), zones, st.lists(zones, min_size=1))
def test_the_zone_in_which_times_are_written_does_not_matter(
    points: list[Point], keep: Keep, zone: tzinfo, written: list[tzinfo]
) -> None:
    moved = [
        Point(
            point.id,
            point.created_at.astimezone(written[number % len(written)]),
            point.tags,
            point.state,
            point.blockers,
        )
        for number, point in enumerate(points)
    ]
    assert plan_retention(moved, keep, zone=zone) == plan_retention(points, keep, zone=zone)


WEEKLY_RHYTHM = ("last", "hourly", "daily", "weekly")


@given(histories(), policies(rules=WEEKLY_RHYTHM), st.integers(-500, 500))
@example(points=[], keep=Keep(daily=1), weeks=1)
def test_shifting_everything_by_whole_weeks_changes_nothing(
    points: list[Point], keep: Keep, weeks: int
) -> None:
    shifted = [
        Point(point.id, point.created_at + timedelta(weeks=weeks), point.tags) for point in points
    ]
    here, there = (plan_retention(some, keep) for some in (points, shifted))
    assert [(kept.point.id, kept.rules) for kept in here.kept] == [
        (kept.point.id, kept.rules) for kept in there.kept
    ]
