"""What the steps of an incident act on: its record, the looks, and where reports are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import telemetry
from watchkeeper.aws.alarm_states import AlarmStates
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.errors import AlreadyThere, AwsError
from watchkeeper.aws.incidents import IncidentTable
from watchkeeper.aws.reports import PUTS, ReportStore
from watchkeeper.triage import telling
from watchkeeper.triage.alarm_model import Alarm, Kind, State
from watchkeeper.triage.gathered import Found, Gathered, Raised, Span, Unchecked, with_found
from watchkeeper.triage.heard import Heard
from watchkeeper.triage.incident_records import ALARM, Incident, key_of
from watchkeeper.triage.incident_records import telling as most_telling
from watchkeeper.triage.incidents import close, settle
from watchkeeper.triage.joining import joined
from watchkeeper.triage.links import alarm_link
from watchkeeper.triage.looking import MOST_ALARMS, Asked, Looked, Looks, Resourced
from watchkeeper.triage.redaction import redacted
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.standing import plain, with_standing
from watchkeeper.triage.tree import tree

if TYPE_CHECKING:
    from watchkeeper.triage.report import Report

GIVEN_UP = timedelta(days=14)
"""What has been in ALARM for two weeks is how things are, and following it tells nobody anything.
"""
BEGAN_BEFORE = timedelta(hours=1)
"""An alarm over a day's average speaks of a day: its first datapoint is no onset then."""
TABLE_WRITES = 6
"""Of one look and the news of it: the lease, two saves with the due index, the incident."""


@dataclass(frozen=True)
class Triaging:
    incidents: IncidentTable
    reports: ReportStore
    states: AlarmStates
    resourced: Resourced
    looks: Looks
    hear: Callable[[Alarm, datetime], Heard]
    """Whether and how grave, by the policy."""
    owner: str
    """Of what says nothing of an owner, by the policy."""
    calls: Mapping[str, Sequence[str]]
    code: Sequence[str]
    """Patterns of the ARNs of those that apply infrastructure as code, by the policy."""
    ours: Sequence[str]
    """Patterns of the ARNs of our own roles."""
    region: str
    account: str
    clock: Clock
    """Only to count what looking costs; steps are told the time."""

    # ── The record ────────────────────────────────────────────────────────────────────────────────

    def settled(self, incident_id: str, now: datetime) -> Incident:
        """The incident as it is, ended if it is over. Raises LookupError if there is none."""
        found = self.incidents.find(incident_id)
        if found is None:
            raise LookupError(f"incident {incident_id} is not in the table")
        incident, _ = found
        over = _over(incident, now)
        if over is incident:
            return incident
        known = self.incidents.known()
        over = _over(known.incidents.get(incident_id, incident), now)
        try:
            self.incidents.save(known, [over], known.book.after([over], now))
        except AlreadyThere:  # an alarm came first: it may not be over
            return incident
        return over

    def reconcile(self, incident_id: str, now: datetime) -> None:
        """Ask CloudWatch how the alarms stand; what it says joins like any change of theirs."""
        said = self.incidents.alarms(incident_id).values()
        alarms = [Alarm.model_validate_json(one) for one in said]
        # CloudWatch knows nothing of Alertmanager's, and nothing here of those of other Regions.
        alarms = [one for one in alarms if one.kind is not Kind.ALERT]
        place = (self.account, self.region)
        ours = [one for one in alarms if _is_alarm(one) and (one.account, one.region) == place]
        names = sorted({one.name for one in ours})
        try:
            states = self.states.of(names)
        except AwsError as error:
            telemetry.logger.warning("alarms could not be asked", extra={"why": str(error)})
            return
        there = {one.key for one in states}
        unread = [one for one in alarms if not _is_alarm(one)]
        gone = [*unread, *(one for one in ours if one.key not in there)]
        self.joined([*states, *self._silent(incident_id, gone, now)], now)

    def _silent(self, incident_id: str, gone: Sequence[Alarm], now: datetime) -> list[Alarm]:
        """Those that still fire by the record, though there is none such, deleted or no longer a
        contributor, or never was an alarm: of them no OK will come.
        """
        found = self.incidents.find(incident_id)
        members = found[0].members if found else {}
        firing = {key for key, one in members.items() if one.state == ALARM}
        return [
            one.model_copy(update={"state": State.INSUFFICIENT_DATA, "at": now})
            for one in gone
            if key_of(one.key) in firing
        ]

    def joined(self, alarms: Sequence[Alarm], now: datetime) -> list[str]:
        """The runs of the incidents that these alarms belong to."""
        return joined(self.incidents, [self.hear(one, now) for one in alarms], now)

    # ── Looking ───────────────────────────────────────────────────────────────────────────────────

    def look(self, incident: Incident, number: int, now: datetime, before: Looked | None) -> Looked:
        """Gather, report, store. What could not be looked at is in the report."""
        from watchkeeper.triage.analysis import report_of  # noqa: PLC0415 (most wake-ups do not look)

        began = self.clock()
        alarms = self._alarms(incident)
        gathered = self._framed(incident, number, alarms, now)
        asked = Asked(
            incident.id, number, gathered.span, alarms, gathered.resources, gathered.calls
        )
        found = {name: self._found(name, asked, before, now) for name in self.looks}
        spent = {
            "lambda_seconds": (self.clock() - began).total_seconds(),
            "s3_puts": PUTS,
            "table_writes": TABLE_WRITES,
        }
        earlier = Found(used=before.used if before else {})
        gathered = with_found(gathered, *found.values(), Found(used=spent), earlier)
        report = report_of(gathered)
        page, trouble = self._kept(gathered, report)
        return Looked(
            headline=report.headline,
            owner=report.owner,
            resources=list(report.hit),
            page=page,
            matters=report.matters,
            words=self._words_of(report, page and f"s3://{self.reports.bucket}/{page}", trouble),
            pending={name: list(one.pending) for name, one in found.items() if one.pending},
            used=dict(gathered.used),
        )

    def unseen(self, incident: Incident, before: Looked | None, why: str) -> Looked:
        """Instead of a look: what is known without any."""
        if before is not None:
            return before
        return Looked(headline=telling.headline(incident), owner=self.owner, unseen=why)

    def words(self, tell: telling.Told, looked: Looked) -> tuple[str, str]:
        """Subject and text for people: how it stands now, then what the latest look found."""
        if tell.kind in looked.words:
            line, text = looked.words[tell.kind]
            return line, with_standing(text, tell)
        return plain(tell, looked)

    def _alarms(self, incident: Incident) -> list[Alarm]:
        """Those that say most, as they were raised."""
        said = self.incidents.alarms(incident.id)
        keys = sorted(
            said.keys() & incident.raised().keys(),
            key=lambda one: most_telling(one, incident.members[one]),
        )
        return [Alarm.model_validate_json(said[one]) for one in keys[:MOST_ALARMS]]

    def _framed(
        self, incident: Incident, number: int, alarms: Sequence[Alarm], now: datetime
    ) -> Gathered:
        """All that is known before anything is looked at."""
        resources, unchecked = self.resourced(alarms)
        earliest = incident.started_at - BEGAN_BEFORE
        began = min((one.since for one in alarms if one.since), default=incident.started_at)
        return Gathered(
            incident=incident.id,
            look=number,
            at=now,
            span=Span.of(min(max(began, earliest), incident.started_at), now),
            region=self.region,
            account=self.account,
            ours=self.ours,
            code=self.code,
            calls=self.calls,
            headline=telling.headline(incident),
            severity=str(list(Severity)[incident.severity]),
            owner=next((one.owner for one in resources if one.owner), self.owner),
            recurrence=incident.recurrence,
            follows=incident.follows,
            tree=[asdict(one) for one in tree(incident)],
            alarms=[self._raised(one, now) for one in alarms],
            resources=resources,
            unchecked=unchecked,
        )

    def _raised(self, alarm: Alarm, now: datetime) -> Raised:
        own = next((one for one in alarm.metrics if one.returned and one.name), None)
        at = alarm.at or now
        return Raised(
            name=redacted(alarm.name),
            arn=alarm.arn,
            state=alarm.state,
            severity=str(self.hear(alarm, now).severity),
            at=at,
            since=alarm.since or at,
            reason=redacted(alarm.reason or alarm.problem),
            description=redacted(alarm.description),
            kind=alarm.kind,
            metric=f"{own.namespace} {own.name}" if own else "",
            threshold=alarm.threshold,
            datapoints=alarm.datapoints,
            link=alarm_link(alarm.region or self.region, alarm.name) if alarm.arn else "",
        )

    def _found(self, name: str, asked: Asked, before: Looked | None, now: datetime) -> Found:
        pending = before.pending.get(name, ()) if before else ()
        try:
            return self.looks[name](replace(asked, pending=pending), now)
        except AwsError as error:
            return Found(unchecked=(Unchecked(name, error.quoted),), pending=pending)

    def _kept(self, gathered: Gathered, report: "Report") -> tuple[str, str]:
        """The key of the page, or why there is none: people are told all the same."""
        from watchkeeper.triage.gathered import to_json  # noqa: PLC0415 (most wake-ups do not look)
        from watchkeeper.triage.page import page  # noqa: PLC0415
        from watchkeeper.triage.report import to_json as report_json  # noqa: PLC0415

        evidence, document = to_json(gathered), report_json(report)
        try:
            where = (gathered.incident, gathered.look)
            return self.reports.write(*where, evidence, document, page(report)), ""
        except AwsError as error:
            telemetry.logger.exception("report not stored", extra={"incident": gathered.incident})
            return "", error.quoted

    @staticmethod
    def _words_of(report: "Report", page: str, trouble: str) -> dict[str, tuple[str, str]]:
        from watchkeeper.triage.short import subject, text  # noqa: PLC0415

        where = page or f"The report could not be stored: {trouble}"
        return {
            kind.value: (subject(report, kind), text(report, kind, where)) for kind in telling.Kind
        }


def _is_alarm(one: Alarm) -> bool:
    """Whether it is one that CloudWatch has somewhere."""
    return one.kind is not Kind.UNKNOWN and bool(one.account and one.region)


def _over(incident: Incident, now: datetime) -> Incident:
    settled = settle(incident, now)
    if settled.closed_at is None and now - incident.opened_at > GIVEN_UP:
        return close(incident, now, f"given up after {GIVEN_UP.days} days")
    return settled
