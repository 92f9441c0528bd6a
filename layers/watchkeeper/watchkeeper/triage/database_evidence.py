"""What was gathered about a database, as its diagnosis reads it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from watchkeeper.triage.database_model import LEAD
from watchkeeper.triage.evidence import Evidence, LogPattern, Series
from watchkeeper.triage.gathered import Database, Gathered, Measured

AURORA: Mapping[str, str] = {"AuroraReplicaLag": "ReplicaLag"}
"""Names that the rules know by another one."""
IN_MILLISECONDS = frozenset({"AuroraReplicaLag"})
"""Everything else that the rules read, RDS gives in base units already; see below."""
IN_MILLISECONDS_OF_AURORA = frozenset({"CommitLatency"})
"""https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html"""
DIMENSION = "DBInstanceIdentifier"


def evidence_of(
    gathered: Gathered, database: Database, patterns: Sequence[LogPattern] = ()
) -> Evidence:
    """Its metrics by the minute where there are any, else by five; from shortly before the window.

    `patterns` are templates of its own log lines. What is absent stays empty: the diagnosis says
    what it lacks. The alarm's words are those of the alarms about it, and about its replicas.
    """
    since = gathered.span.since - LEAD
    own = {database.instance, *database.replicas}
    about = [one for one in gathered.metrics if one.dimensions.get(DIMENSION) in own]
    alarms = [one for one in gathered.alarms if _is_about(one.metric, about)]
    return Evidence(
        instance=database.instance,
        metrics=tuple(_series(database, about, since)),
        events=tuple(database.events),
        logs=tuple(one for one in patterns if one.at >= since),
        queries=tuple(database.queries),
        waits=database.waits,
        users=database.users,
        hosts=database.hosts,
        load=tuple(one for one in database.load if one[0] >= since),
        instance_class=database.instance_class,
        max_connections=database.max_connections,
        engine=database.engine or "postgres",
        alarm=" ".join(f"{one.name} {one.metric} {one.description}".strip() for one in alarms),
        firing=any(one.state == "ALARM" for one in alarms) or not alarms,
    )


def _is_about(metric: str, about: Sequence[Measured]) -> bool:
    return any(one.of_alarm and metric == f"{one.namespace} {one.name}" for one in about)


def _series(database: Database, about: Sequence[Measured], since: datetime) -> Iterator[Series]:
    """One of each metric and instance: the finest that there is."""
    best: dict[tuple[str, str], Measured] = {}
    own = {database.instance, *database.replicas}
    for one in (*database.metrics, *about):
        key = (one.dimensions.get(DIMENSION, ""), one.name)
        if key[0] in own and (key not in best or one.period < best[key].period):
            best[key] = one
    aurora = database.engine.startswith("aurora")
    for (instance, _), one in sorted(best.items()):
        points = [point for point in one.points if point[0] >= since]
        if points:
            yield _in_base_units(Series(instance, one.name, points), aurora=aurora)


def _in_base_units(one: Series, *, aurora: bool) -> Series:
    milliseconds = one.name in IN_MILLISECONDS or (aurora and one.name in IN_MILLISECONDS_OF_AURORA)
    points = [(at, value / 1000) for at, value in one.points] if milliseconds else one.points
    return replace(one, name=AURORA.get(one.name, one.name), points=points)
