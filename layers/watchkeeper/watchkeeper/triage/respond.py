"""What TriageIncidents does with a trigger: finds the incidents that it means, and follows them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import telemetry
from watchkeeper.aws.alarm_states import AlarmStates
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.errors import AwsError, Busy
from watchkeeper.aws.incidents import IncidentTable
from watchkeeper.aws.parameters import Parameters
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.topics import Topics
from watchkeeper.policies import Policies
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.settings import TriageIncidentsSettings
from watchkeeper.triage.steps import workflow
from watchkeeper.triggers import AlarmsSaid, Tick, TriageIncidentsMeant, Wake

# Reading an alarm or a policy costs 30 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.policy_text import PolicyDecision
    from watchkeeper.triage.alarm_model import Alarm
    from watchkeeper.triage.policy import TriagePolicy
    from watchkeeper.triage.triaging import Triaging

CAPABILITY = "triage"
"""The name of the policy's parameter, and the first word of the ids of runs."""
EVENTS_HAVE = timedelta(minutes=3)
"""So long a change of state may take to come as an event, which says more than its description:
whether it is muted, and why it changed.
"""
LOOKED_BACK = timedelta(hours=12)
"""What has been in ALARM for longer is how things are; an incident of it has been, or would have
been, before anybody asked.
"""


def _decide(text: str | None, last_good: str | None) -> "PolicyDecision[TriagePolicy]":
    from watchkeeper.triage.policy import decide_triage_policy  # noqa: PLC0415 (as above)

    return decide_triage_policy(text, last_good)


class TriageIncidents:
    """Turns alarms into incidents, and incidents into answers with evidence."""

    def __init__(self, settings: TriageIncidentsSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)
        self.incidents = IncidentTable(settings.table, settings.stack)
        self.states = AlarmStates()
        self.policy = Policies(
            CAPABILITY, CAPABILITY, _decide,
            Parameters(settings.policy_prefix), PolicyTable(settings.table), self.runs,
        )  # fmt: skip

    def handle(
        self, trigger: TriageIncidentsMeant, clock: Clock, deadline: datetime
    ) -> dict[str, str]:
        """Where each run stands afterwards."""
        from watchkeeper.triage.composed import triaging_in  # noqa: PLC0415 (as above)

        now = clock()
        policy, told = self._policy(trigger, now)
        cloud = triaging_in(self.settings, self.incidents, self.states, policy, clock)
        meant = self._meant(trigger, cloud, now)
        engine = Engine(self.runs, workflow, cloud, self.topics.publish, clock, deadline)
        return advance_all([*told, *meant], engine)

    def _policy(
        self, trigger: TriageIncidentsMeant, now: datetime
    ) -> "tuple[TriagePolicy, list[str]]":
        """The policy, and the run that tells people of one that was refused."""
        try:
            if not isinstance(trigger, Tick):
                return self.policy.in_force(), []
            policy, _, run_id = self.policy.read(now)
        except AwsError as error:
            # Alarms are looked at by the policy of before, rather than not at all.
            telemetry.logger.exception("the policy cannot be read")
            telemetry.count("PolicyRefused", 0 if isinstance(error, Busy) else 1)
            return self.policy.last_accepted(), []
        return policy, [run_id] if run_id else []

    def _meant(
        self, trigger: TriageIncidentsMeant, cloud: "Triaging", now: datetime
    ) -> Iterable[str]:
        match trigger:
            case Wake():
                return trigger.run_ids
            case Tick():
                return cloud.joined(self._missed(now), now)
            case AlarmsSaid():
                return cloud.joined(self._said(trigger), now)

    def _said(self, trigger: AlarmsSaid) -> "list[Alarm]":
        from watchkeeper.triage import alarms  # noqa: PLC0415 (as above)

        said = alarms.read(trigger.event, ours=f"{self.settings.stack}-")
        names = sorted({one.name for one in said if one.opens and one.arn})
        if not names:
            return said
        # An event does not say that the actions of its alarm are switched off.
        try:
            muted = {one.arn: one.muted for one in self.states.of(names)}
        except AwsError as error:
            telemetry.logger.warning("mutes could not be asked", extra={"why": str(error)})
            return said
        return [
            one.model_copy(update={"muted": one.muted or muted.get(one.arn, "")}) for one in said
        ]

    def _missed(self, now: datetime) -> "list[Alarm]":
        """Alarms that are in ALARM, and whose events may have been lost."""
        try:
            firing = self.states.firing(ours=f"{self.settings.stack}-")
        except Busy as busy:  # the next tick asks again; without any, TriageSilentAlarm speaks
            telemetry.logger.warning("alarms could not be asked", extra={"why": str(busy)})
            return []
        telemetry.count("AlarmsLookedFor")
        since, until = now - LOOKED_BACK, now - EVENTS_HAVE
        return [one for one in firing if one.at is not None and since <= one.at <= until]
