"""Which node a fault is in, of all those where it shows."""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Literal, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.triage.causes import Key, Values, rank_causes, suspects, worse

Name = TypeVar("Name")
Of = TypeVar("Of")

CALLS = {
    "site": ["search", "pay", "queue"],
    "search": ["table"],
    "pay": ["database"],
    "batch": ["table"],
}
NODES = ("site", "search", "pay", "queue", "table", "database", "batch")
TARGET = ("site", "latency", "Average")
LATENCY = {
    "site": 0.100, "search": 0.020, "pay": 0.050, "queue": 0.010,
    "table": 0.005, "database": 0.020, "batch": 0.200,
}  # fmt: skip
REQUESTS = dict.fromkeys(NODES, 1000.0) | {"batch": 10.0}


def normal(**other: list[float | None]) -> dict[Key, Values]:
    """Fifty periods in which every latency moves by 2 %."""
    values: dict[Key, Values] = {}
    for node in NODES:
        wave = [1 + 0.02 * math.sin(number) for number in range(50)]
        values[node, "latency", "Average"] = [LATENCY[node] * by for by in wave]
        values[node, "requests", "Sum"] = [REQUESTS[node]] * 50
        values[node, "availability", "Average"] = [100.0] * 50
    return values | {(node, "cpu", "Average"): of for node, of in other.items()}


def abnormal(
    metric: Literal["latency", "availability"] = "latency", /, **by: float
) -> dict[Key, Values]:
    """Five periods; in the middle three, nodes are off by so much."""
    values = {key: list(of[:5]) for key, of in normal().items()}
    for node, off in by.items():
        of = values[node, metric, "Average"]
        values[node, metric, "Average"] = [
            value + off if 1 <= number <= 3 and value is not None else value
            for number, value in enumerate(of)
        ]
    return values  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("what", "by", "cause"),
    [
        ("a leaf, and all that call it", {"table": 0.05, "search": 0.05, "site": 0.05}, "table"),
        ("in the middle", {"search": 0.05, "site": 0.05}, "search"),
        ("the target alone", {"site": 0.05}, "site"),
        ("a callee is a bit slower too", {"table": 0.004, "search": 0.05, "site": 0.05}, "search"),
        ("another branch", {"database": 0.1, "pay": 0.1, "site": 0.1}, "database"),
        ("one that is not called by the target", {"batch": 9.0, "search": 0.05, "site": 0.05},
         "search"),
        ("two at once, the worse first", {"queue": 0.01, "search": 0.09, "site": 0.1}, "search"),
    ],
)  # fmt: skip
def test_the_cause_of_a_slow_target_is_named_first(
    what: str, by: dict[str, float], cause: str
) -> None:
    assert rank_causes(TARGET, normal(), abnormal(**by), CALLS)[0] == cause, what


def test_the_cause_of_failures_is_named_first() -> None:
    during = abnormal("availability", table=-3, search=-3, site=-3)

    ranked = rank_causes(("site", "availability", "Average"), normal(), during, CALLS)
    assert ranked[0] == "table"


def test_a_mean_of_few_calls_weighs_little() -> None:
    calls = CALLS | {"site": ["search", "pay", "queue", "view of search"]}
    before, during = normal(), abnormal(search=0.05, site=0.05)
    for key, of in list(before.items()):
        if key[0] == "search":
            before["view of search", *key[1:]] = [60.0] * 50 if key[1] == "requests" else of
    for key, of in list(during.items()):
        if key[0] == "search":
            during["view of search", *key[1:]] = [60.0] * 5 if key[1] == "requests" else of
    during["view of search", "latency", "Average"] = [0.02, 0.2, 0.2, 0.2, 0.02]

    assert rank_causes(TARGET, before, during, calls)[:2] == ["search", "view of search"]


def test_what_has_drifted_before_the_fault_is_no_cause() -> None:
    during = abnormal(search=0.02, site=0.05)
    during["queue", "latency", "Average"] = [1.0] * 5

    assert rank_causes(TARGET, normal(), during, CALLS)[0] == "search"


def test_without_calm_moments_the_normal_stretch_alone_decides() -> None:
    during = {key: of[1:4] for key, of in abnormal(table=0.05, search=0.05, site=0.05).items()}

    assert rank_causes(TARGET, normal(), during, CALLS)[0] == "table"


def test_without_calls_what_moved_most_is_named_first() -> None:
    assert rank_causes(TARGET, normal(), abnormal(search=0.05, site=0.005))[0] == "search"


def test_another_metric_stands_in_where_the_targets_is_not_measured() -> None:
    before = normal() | {("search", "CPUUtilization", "Average"): [30.0, 31.0] * 25}
    during = abnormal(site=0.05) | {("search", "CPUUtilization", "Average"): [30, 99, 99, 99, 31]}
    for of in (before, during):
        del of["search", "latency", "Average"]

    assert rank_causes(TARGET, before, during, CALLS)[:2] == ["site", "search"]


def test_more_requests_are_no_sign_of_a_fault() -> None:
    during = abnormal(search=0.05, site=0.05)
    during["queue", "requests", "Sum"] = [1000, 9e6, 9e6, 9e6, 1000]

    assert rank_causes(TARGET, normal(), during, CALLS)[0] == "search"


def test_every_node_is_named_once_and_says_why() -> None:
    found = suspects(TARGET, normal(), abnormal(search=0.05, site=0.05), CALLS)

    assert sorted(one.node for one in found) == sorted(NODES)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found[0].why == (
        "its latency Average is 112 usual deviations worse; about 98% of what site lost is its own;"
        " it and its callers are 100% of what is unusual"
    )
    batch = next(one.why for one in found if one.node == "batch")
    assert batch.startswith("no metric of it is unusually bad; ")
    assert batch.endswith("; site does not call it")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("latency", 1), ("TargetResponseTime", 1), ("HTTPCode_Target_5XX_Count", 1),
        ("CPUUtilization", 1), ("ErrorCount", 1), ("errors", 1), ("ThrottledRequests", 1),
        ("ApproximateAgeOfOldestMessage", 1), ("queue.wait", 1), ("ReplicaLag", 1),
        ("UnHealthyHostCount", 1), ("unavailable", 1),
        ("availability", -1), ("FreeStorageSpace", -1), ("HealthyHostCount", -1),
        ("CPUCreditBalance", -1), ("SuccessPercent", -1),
        ("requests", 0), ("RequestCount", 0), ("Invocations", 0), ("NumberOfMessagesSent", 0),
        ("", 0), ("☃", 0),
    ],
)  # fmt: skip
def test_a_metrics_name_tells_which_way_is_worse(metric: str, expected: int) -> None:
    assert worse(metric) == expected


# ── Input as it comes ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("what", "before", "during", "calls", "expected"),
    [
        ("nothing", {}, {}, None, ["site"]),
        ("no metrics but calls", {}, {}, CALLS, ["site"]),
        ("no normal", {}, abnormal(), CALLS, sorted(NODES)),
        ("empty series", normal(), dict.fromkeys(normal(), ()), CALLS, sorted(NODES)),
        ("no values", normal(), dict.fromkeys(normal(), (None, math.nan)), CALLS, sorted(NODES)),
        ("no target", normal(), {("queue", "latency", "Average"): [9.0]}, CALLS,
         ["queue", "site"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_no_error(
    what: str,
    before: Mapping[Key, Values],
    during: Mapping[Key, Values],
    calls: Mapping[str, Iterable[str]] | None,
    expected: list[str],
) -> None:
    assert sorted(rank_causes(TARGET, before, during, calls)) == expected, what


def test_missing_values_are_left_out() -> None:
    during = abnormal(search=0.05, site=0.05)
    during["search", "latency", "Average"] = [None, math.nan, 0.07, math.inf]

    assert rank_causes(TARGET, normal(), during, CALLS)[0] == "search"


def test_calls_may_go_in_circles() -> None:
    calls = CALLS | {"table": ["site", "table", "unknown"]}

    ranked = rank_causes(TARGET, normal(), abnormal(search=0.05, site=0.05), calls)
    assert ranked[0] == "search"


def test_a_long_chain_of_calls_is_no_recursion() -> None:
    names = [f"node {number}" for number in range(3000)]
    calls = {one: [other] for one, other in pairwise(names)}
    target = (names[0], "latency", "Average")
    normal_of = {(name, "latency", "Average"): [1.0] * 20 for name in (names[0], names[-1])}
    during = {key: [9.0] for key in normal_of}

    assert rank_causes(target, normal_of, during, calls)[0] == names[-1]


HOSTILE = [
    "{0.__class__}", "%s%n", "\x1b[31m", "a\r\nb", "<script>", "\ud800", "A" * 1_000_000,
    "aA" * 500_000, "",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_only_names(name: str) -> None:
    key = (name, name, name)
    before, during = normal() | {key: [1.0] * 20}, abnormal(search=0.05, site=0.05) | {key: [9.0]}
    calls = CALLS | {name: ["search", name], "site": [*CALLS["site"], name]}

    ranked = rank_causes(TARGET, before, during, calls)
    assert ranked[0] == "search"
    assert name in ranked


values = st.lists(st.none() | st.floats() | st.sampled_from([0.0, 1.0, 1.7e308, -1.7e308]))
names = st.sampled_from(["a", "b", "c", "d"])
keys = st.tuples(
    names,
    st.sampled_from(["latency", "availability", "requests"]),
    st.sampled_from(["Average", "Sum"]),
)
metrics = st.dictionaries(keys, values | st.just([1.0, 2.0] * 10))


@settings(deadline=None)
@given(keys, metrics, metrics, st.none() | st.dictionaries(names, st.lists(names)))
def test_anything_is_ranked_the_same_way_in_any_order(
    target: Key,
    before: dict[Key, Values],
    during: dict[Key, Values],
    calls: Mapping[str, Iterable[str]] | None,
) -> None:
    ranked = rank_causes(target, before, during, calls)

    assert sorted(ranked) == sorted({target[0], *(node for node, _, _ in during)})
    assert ranked == rank_causes(target, _turned(before), _turned(during), calls and _turned(calls))
    assert not any(math.isnan(one.score) for one in suspects(target, before, during, calls))


def _turned(of: Mapping[Name, Of]) -> dict[Name, Of]:
    return dict(reversed(list(of.items())))
