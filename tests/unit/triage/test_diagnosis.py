"""Diagnoses of made-up databases: each rule with evidence for it, and with evidence against it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.triage.diagnosis import RULES, diagnose
from watchkeeper.triage.diagnosis_facts import Facts, shape, writes
from watchkeeper.triage.evidence import (
    Category,
    Diagnosis,
    Event,
    Evidence,
    LogPattern,
    Mode,
    Query,
    Series,
    Source,
    figure,
)

BEGIN = datetime(2027, 5, 4, 8, 0, tzinfo=UTC)
GIB = 2.0**30
SCAN = Query("SELECT * FROM baskets WHERE note LIKE $1", 6.5, 2.0, {"CPU": 6.0, "IO:Read": 0.5})
LOAD = Query("INSERT INTO history SELECT * FROM inbox", 5.0, 1.0, {"WAL:Lock": 4.0, "CPU": 1.0})


def series(name: str, *values: float, of: str = "shop") -> Series:
    points = [(BEGIN + timedelta(minutes=number), value) for number, value in enumerate(values)]
    return Series(of, name, points)


def ramp(name: str, low: float, high: float, *, of: str = "shop", at: int = 4) -> Series:
    """Low at first, then high."""
    return series(name, *[low] * at, *[high] * (15 - at), of=of)


def event(text: str, minute: int = 6, of: str = "shop") -> Event:
    return Event(BEGIN + timedelta(minutes=minute), of, text)


QUIET = (
    series("CPUUtilization", *[20, 24, 22] * 5),
    series("DatabaseConnections", *[80, 84, 82] * 5),
    series("FreeStorageSpace", *[90 * GIB] * 15),
    series("FreeableMemory", *[20 * GIB, 21 * GIB, 19 * GIB] * 5),
    series("SwapUsage", *[8e7, 8.2e7, 7.9e7] * 5),
    series("DiskQueueDepth", *[0.1, 0.2, 0.1] * 5),
    series("WriteIOPS", *[400, 420, 390] * 5),
    series("WriteLatency", *[0.001] * 15),
    series("TransactionLogsGeneration", *[4e6] * 15),
    series("ReplicaLag", *[1, 2, 1] * 5, of="shop-replica"),
)


def given_(
    *changed: Series, without: Sequence[str] = (), queries: Sequence[Query] = ()
) -> Evidence:
    """A quiet database but for what is changed; its waits are those of its statements."""
    names = {(one.resource, one.name) for one in changed}
    kept = [one for one in QUIET if (one.resource, one.name) not in names]
    waits: dict[str, float] = {}
    for query in queries:
        for name, load in query.waits.items():
            waits[name] = waits.get(name, 0) + load
    metrics = [one for one in (*kept, *changed) if one.name not in without]
    return Evidence("shop", metrics, queries=queries, waits=waits, instance_class="db.r6g.2xlarge")


BURST = (
    ramp("WriteIOPS", 400, 19_000),
    ramp("TransactionLogsGeneration", 4e6, 1.9e8),
)
LATE = series("ReplicaLag", *range(0, 900, 60), of="shop-replica")

FAULTS = {
    "cpu by a query": (
        given_(ramp("CPUUtilization", 20, 96), queries=[SCAN]),
        Mode.CPU,
        "baskets",
    ),
    "cpu without queries": (given_(ramp("CPUUtilization", 20, 96)), Mode.CPU, "96 %"),
    "idle sessions": (
        replace(
            given_(
                ramp("DatabaseConnections", 100, 199),
                queries=[Query("BEGIN", 5.0, 0.1, {"Client:ClientRead": 5.0})],
            ),
            max_connections=200,
        ),
        Mode.CONNECTIONS,
        "idle client sessions",
    ),
    "limit told by an event": (
        replace(
            given_(ramp("DatabaseConnections", 100, 299)),
            events=[event("Current connections: 296 of 300.")],
        ),
        Mode.CONNECTIONS,
        "of 300",
    ),
    "refused, and not measured": (
        replace(
            given_(without=["DatabaseConnections"]),
            logs=[LogPattern(BEGIN, "FATAL: sorry, too many clients already", 400)],
        ),
        Mode.CONNECTIONS,
        "refused",
    ),
    "storage full": (
        given_(series("FreeStorageSpace", *[6 * GIB] * 5, *[0.2 * GIB] * 10)),
        Mode.STORAGE_FULL,
        "out of storage space",
    ),
    "storage soon full": (
        given_(series("FreeStorageSpace", *[(50 - 3 * step) * GIB for step in range(15)])),
        Mode.STORAGE_FULL,
        "within half an hour",
    ),
    "storage full, unmeasured": (
        replace(
            given_(ramp("WriteIOPS", 900, 0), without=["FreeStorageSpace"]),
            events=[event("DB instance ran out of storage space.")],
        ),
        Mode.STORAGE_FULL,
        "writes are blocked",
    ),
    "storage probably full": (
        given_(
            ramp("WriteIOPS", 900, 0),
            ramp("WriteLatency", 0.001, 30),
            without=["FreeStorageSpace"],
        ),
        Mode.STORAGE_FULL,
        "most likely",
    ),
    "memory": (
        given_(
            series("FreeableMemory", *[9 * GIB] * 5, *[0.3 * GIB] * 10),
            ramp("SwapUsage", 8e7, 3e9),
        ),
        Mode.MEMORY,
        "SwapUsage grew",
    ),
    "killed": (
        replace(given_(), events=[event("Killed process 77: out of memory")]),
        Mode.MEMORY,
        "memory is short",
    ),
    "lag by writes": (given_(LATE, *BURST, queries=[LOAD]), Mode.LAG, "history"),
    "lag by the replica": (
        given_(LATE, ramp("CPUUtilization", 20, 99, of="shop-replica")),
        Mode.LAG,
        "the replica itself",
    ),
    "lag by a long transaction": (
        replace(
            given_(LATE),
            logs=[LogPattern(BEGIN, "canceling statement due to conflict with recovery")],
        ),
        Mode.LAG,
        "long transaction",
    ),
    "lag, nobody knows why": (given_(LATE), Mode.LAG, "not known"),
    "replication stopped": (
        given_(series("ReplicaLag", *[1] * 5, *[-1] * 10, of="shop-replica")),
        Mode.LAG,
        "stopped",
    ),
    "lag, unmeasured": (
        replace(
            given_(*BURST, without=["ReplicaLag"], queries=[LOAD]),
            events=[event("Replication lag has exceeded 900 seconds.", of="shop-replica")],
        ),
        Mode.LAG,
        "known from events only",
    ),
    "checkpoints by vacuum": (
        given_(
            *BURST,
            queries=[Query("autovacuum: VACUUM public.big", 8.0, None, {"LWLock:WALWrite": 8.0})],
        ),
        Mode.CHECKPOINTS,
        "public.big",
    ),
    "checkpoints in the log": (
        replace(
            given_(*BURST),
            logs=[LogPattern(BEGIN, "checkpoints are occurring too frequently (<*> seconds)", 9)],
        ),
        Mode.CHECKPOINTS,
        "too frequently",
    ),
    "burst balance": (
        given_(
            series("BurstBalance", *range(80, 0, -10), *[1] * 7), ramp("DiskQueueDepth", 0.1, 60)
        ),
        Mode.CREDITS,
        "throttled",
    ),
    "locks": (
        given_(
            queries=[Query("UPDATE stock SET n = n - 1", 9.0, 0.1, {"Lock:transactionid": 9.0})]
        ),
        Mode.LOCKS,
        "stock",
    ),
    "slow volume": (
        given_(ramp("DiskQueueDepth", 0.1, 60), ramp("WriteLatency", 0.001, 0.4)),
        Mode.IO,
        "400 ms",
    ),
    "failover": (
        replace(
            given_(series("DatabaseConnections", *[80] * 5, 0, 1, 0, *[80] * 7)),
            events=[
                event("Multi-AZ instance failover started."),
                event("Multi-AZ instance failover completed.", 8),
            ],
        ),
        Mode.FAILOVER,
        "fell from 80 to 0",
    ),
    "restart": (replace(given_(), events=[event("DB instance restarted.")]), Mode.MAINTENANCE, ""),
}


@pytest.mark.parametrize(("evidence", "mode", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_with_its_evidence(evidence: Evidence, mode: Mode, said: str) -> None:
    diagnosis = diagnose(evidence)

    assert diagnosis.modes == (mode,)
    assert said in diagnosis.text()
    assert diagnosis.claims
    assert any(claim.evidence for claim in diagnosis.claims)


LONG_AGO = -300
NO_FAULTS = {
    "a blip of CPU": given_(series("CPUUtilization", *[20] * 7, 97, 96, *[20] * 6)),
    "many connections, room left": replace(
        given_(ramp("DatabaseConnections", 100, 160)),
        max_connections=200,
        events=[event("approaching max_connections limit. Current connections: 160 of 200.")],
    ),
    "little storage, steady": given_(series("FreeStorageSpace", *[5 * GIB] * 15)),
    "a lag that is over": given_(
        series("ReplicaLag", 1, 1, *[400] * 6, *[2] * 7, of="shop-replica")
    ),
    "storage that was enlarged": given_(
        series("FreeStorageSpace", *[9 * GIB] * 3, *[0.5 * GIB] * 5, *[99 * GIB] * 7)
    ),
    "a vacuum that harms nobody": given_(queries=[Query("VACUUM t", 0.4, None, {"IO:x": 0.4})]),
    "a failover of this night": replace(
        given_(),
        events=[event("failover started", LONG_AGO), event("failover completed", LONG_AGO + 2)],
    ),
    "storage of this night": replace(given_(), events=[event("ran out of storage", LONG_AGO)]),
    "an announcement": replace(given_(), events=[event("maintenance will begin on Sunday")]),
    "an offer": replace(given_(), events=[event("A minor version upgrade is available.")]),
    "a lag said to be over": replace(
        given_(without=["ReplicaLag"]), events=[event("replication lag has recovered")]
    ),
    "nobody writes": given_(ramp("WriteIOPS", 900, 0), without=["FreeStorageSpace"]),
    "few waits for locks": given_(queries=[Query("UPDATE t SET a = 1", 0.5, 3, {"Lock:x": 0.5})]),
    "a full burst balance": given_(series("BurstBalance", *[99] * 15)),
}


@pytest.mark.parametrize("evidence", NO_FAULTS.values(), ids=NO_FAULTS)
def test_what_is_no_fault_is_healthy(evidence: Evidence) -> None:
    diagnosis = diagnose(evidence)

    assert diagnosis.category is Category.HEALTHY, diagnosis.text()
    assert not diagnosis.modes
    assert "normal bounds" in diagnosis.headline


def test_what_is_over_is_told() -> None:
    assert "recovered from replication lag" in diagnose(NO_FAULTS["a lag that is over"]).headline


def test_an_earlier_failover_is_ruled_out_by_its_time() -> None:
    (why,) = (
        claim.text
        for claim in diagnose(NO_FAULTS["a failover of this night"]).ruled_out
        if claim.text.startswith("failover")
    )

    assert "completed at 03:02Z" in why
    assert "historical" in why


# ── Causes and consequences ───────────────────────────────────────────────────────────────────────


def test_cpu_of_the_same_writes_is_a_consequence() -> None:
    diagnosis = diagnose(given_(LATE, *BURST, ramp("CPUUtilization", 20, 45), queries=[LOAD]))

    (claim,) = (one for one in diagnosis.consequences if one.text.startswith("CPU"))
    assert "a consequence of the writes" in claim.text


def test_cpu_of_another_statement_that_reads_is_independent() -> None:
    busy = ramp("CPUUtilization", 20, 75)
    reading = replace(SCAN, load=1.9, waits={"CPU": 1.9})
    diagnosis = diagnose(given_(LATE, *BURST, busy, queries=[LOAD, reading]))

    assert diagnosis.modes == (Mode.LAG,)
    (claim,) = (one for one in diagnosis.consequences if one.text.startswith("CPU"))
    assert "causally independent" in claim.text
    assert "baskets" in claim.text


def test_two_causes_are_both_told() -> None:
    idle = Query("BEGIN", 5.0, 0.1, {"Client:ClientRead": 5.0})
    full = ramp("DatabaseConnections", 100, 199)
    evidence = given_(full, ramp("CPUUtilization", 20, 97), queries=[SCAN, idle])
    diagnosis = diagnose(replace(evidence, max_connections=200))

    assert diagnosis.modes == (Mode.CONNECTIONS, Mode.CPU)
    assert "at the same time" in diagnosis.headline


def test_sessions_that_pile_up_behind_busy_cpu_are_a_consequence() -> None:
    full = ramp("DatabaseConnections", 100, 199, at=8)
    evidence = given_(full, ramp("CPUUtilization", 20, 97), queries=[SCAN])
    diagnosis = diagnose(replace(evidence, max_connections=200))

    assert diagnosis.modes == (Mode.CPU,)
    assert any("connection exhaustion" in claim.text for claim in diagnosis.consequences)


def test_locks_behind_a_full_volume_are_a_consequence() -> None:
    evidence, _, _ = FAULTS["storage full, unmeasured"]
    waiting = Query("INSERT INTO t VALUES ($1)", 9.0, 0.0, {"Lock:relation": 9.0})
    diagnosis = diagnose(replace(evidence, queries=[waiting], waits=waiting.waits))

    assert diagnosis.modes == (Mode.STORAGE_FULL,)
    assert any("follows from the full storage" in claim.text for claim in diagnosis.consequences)


def test_failover_is_infrastructure() -> None:
    assert diagnose(FAULTS["failover"][0]).category is Category.INFRASTRUCTURE


# ── What was not measured ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_without_evidence_finds_nothing(rule: object) -> None:
    assert callable(rule)
    assert not rule(Facts(Evidence("shop"))).found


def test_nothing_known_is_unknown() -> None:
    diagnosis = diagnose(Evidence("shop"))

    assert diagnosis.category is Category.UNKNOWN
    assert len(diagnosis.could_not_check) > 5


def test_a_missing_metric_that_the_alarm_is_about_is_not_healthy() -> None:
    evidence = replace(given_(without=["ReplicaLag"]), alarm="ReplicaLag above 900")
    diagnosis = diagnose(evidence)

    assert diagnosis.category is Category.UNKNOWN
    assert "ReplicaLag" in diagnosis.headline


def test_what_the_alarm_is_about_is_not_called_healthy_while_it_lasts() -> None:
    evidence = replace(
        given_(ramp("DatabaseConnections", 100, 400)), alarm="DatabaseConnections above 390"
    )

    assert diagnose(evidence).category is Category.UNKNOWN
    assert diagnose(replace(evidence, firing=False)).category is Category.HEALTHY
    assert diagnose(replace(evidence, max_connections=900)).category is Category.HEALTHY


def test_a_slow_volume_without_a_cause_is_unknown() -> None:
    diagnosis = diagnose(given_(ramp("WriteLatency", 0.001, 0.4)))

    assert diagnosis.category is Category.UNKNOWN
    assert "WriteLatency rose from 1 ms to 400 ms" in diagnosis.headline
    assert diagnosis.ruled_out


def test_a_missing_metric_is_told_though_the_fault_is_known() -> None:
    diagnosis = diagnose(FAULTS["lag, unmeasured"][0])

    assert any("ReplicaLag is missing" in line for line in diagnosis.could_not_check)
    assert {one.source for claim in diagnosis.claims for one in claim.evidence} >= {
        Source.EVENTS,
        Source.METRICS,
        Source.QUERIES,
    }


# ── Anything ──────────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    "%s%n{0}{evidence.__class__}",
    "\x1b[2J\r\n<script>alert(1)</script> ran out of storage \x1b",
    "failover \ud800 completed",
    "with " * 50_000,
    "checkpoint starting: " * 20_000,
    "\x00" * 1_000_000,
    "9" * 1_000_000 + " of " + "9" * 9,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_quoted(text: str) -> None:
    query = Query(text, 9.0, 1.0, {text[:50]: 9.0})
    evidence = replace(
        given_(ramp("CPUUtilization", 20, 97), queries=[query]),
        events=[event(text)],
        logs=[LogPattern(BEGIN, text)],
        users={text: 1.0},
        alarm=text,
    )
    told = diagnose(evidence).text()

    assert told.isascii() or not set(told) - {"…"} - set(map(chr, range(32, 127))) - {"\n"}
    assert "\x1b" not in told
    assert len(told) < 20_000


NAMES = sorted({one.name for one in QUIET} | {"BurstBalance", "ReadLatency", "Own"})
VALUES = st.lists(st.floats(-1, 1e12), min_size=0, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.sampled_from(["", "db.t3.micro"]))
def test_any_values_give_the_same_answer_twice(told: dict[str, list[float]], size: str) -> None:
    metrics = [series(name, *values) for name, values in told.items()]
    evidence = Evidence("shop", metrics, queries=[SCAN], waits=SCAN.waits, instance_class=size)
    diagnosis = diagnose(evidence)

    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis == diagnose(evidence)
    assert bool(diagnosis.modes) == (diagnosis.category not in (Category.HEALTHY, Category.UNKNOWN))


# ── Words ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INSERT INTO a SELECT 1", True),
        ("begin; update a set b = 1", True),
        ("WITH x AS (SELECT 1) DELETE FROM a", True),
        ("autovacuum: VACUUM a", True),
        ("SELECT updated_at FROM inserts", False),
        ("BEGIN; SELECT 1", False),
        ("", False),
    ],
)
def test_statements_that_write(text: str, expected: bool) -> None:
    assert writes(Query(text, 1.0)) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db.r6g.xlarge", (4, 32 * GIB)),
        ("db.m5.2xlarge", (8, 32 * GIB)),
        ("db.r5.large", (2, 16 * GIB)),
        ("db.t3.micro", (2, None)),
        ("db.serverless", (None, None)),
        ("", (None, None)),
    ],
)
def test_shape_of_a_class(name: str, expected: tuple[int | None, float | None]) -> None:
    assert shape(name) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CPUUtilization", 97.4, "97 %"),
        ("ReadLatency", 0.0012, "1.2 ms"),
        ("ReadLatency", 34.1, "34.1 s"),
        ("ReplicaLag", 1248, "1,248 s"),
        ("FreeStorageSpace", 214748364800, "215 GB"),
        ("TransactionLogsGeneration", 2e8, "200 MB/s"),
        ("WriteIOPS", 19010, "19,010"),
        ("DiskQueueDepth", 0.07, "0.07"),
    ],
)
def test_figures_have_units(name: str, value: float, expected: str) -> None:
    assert figure(name, value) == expected
