"""Everything that triage acts on, put together."""

from collections.abc import Mapping
from datetime import datetime

from watchkeeper.aws.alarm_states import AlarmStates
from watchkeeper.aws.audit_trail import EventHistory, Ring, Trails
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.incidents import IncidentTable
from watchkeeper.aws.log_events import Logs
from watchkeeper.aws.metric_data import MetricData
from watchkeeper.aws.reports import ReportStore
from watchkeeper.aws.tagged import TaggedResources
from watchkeeper.aws.watched_databases import WatchedDatabases
from watchkeeper.settings import TriageIncidentsSettings
from watchkeeper.triage.alarm_model import Alarm
from watchkeeper.triage.alarm_resources import Place
from watchkeeper.triage.audit_looks import AuditLook
from watchkeeper.triage.database_looks import DatabaseLook
from watchkeeper.triage.heard import Heard, heard
from watchkeeper.triage.log_looks import LogLook
from watchkeeper.triage.metric_looks import MetricLook
from watchkeeper.triage.policy import TriagePolicy
from watchkeeper.triage.resources import Resourcing
from watchkeeper.triage.triaging import Triaging

WORLDWIDE: Mapping[str, str] = {"aws": "us-east-1"}
"""The Region, by partition, in which CloudTrail tells what is done in IAM and other services that
have none. Of other partitions AWS does not say it, so that nothing is asked there:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
"""


def triaging_in(
    settings: TriageIncidentsSettings,
    incidents: IncidentTable,
    states: AlarmStates,
    policy: TriagePolicy,
    clock: Clock,
) -> Triaging:
    partition, region, account = settings.place
    metrics = MetricData()
    told_in = WORLDWIDE.get(partition)
    elsewhere = told_in if told_in != region else None

    def hear(alarm: Alarm, now: datetime) -> Heard:
        return heard(alarm, policy, now, Place(*settings.place))

    return Triaging(
        incidents=incidents,
        reports=ReportStore(settings.incidents_bucket),
        states=states,
        resourced=Resourcing(policy, TaggedResources(), settings.place, states.of),
        looks={
            "the metrics": MetricLook(metrics, settings.place),
            "the audit trail": AuditLook(
                Ring(settings.trail_group),
                EventHistory(),
                Trails(),
                None if elsewhere is None else EventHistory(elsewhere),
            ),
            "the databases": DatabaseLook(WatchedDatabases(), metrics),
            # Last: it may wait for its queries.
            "the logs": LogLook(Logs(), account),
        },
        hear=hear,
        owner=policy.default_owner,
        calls=policy.calls,
        code=policy.code,
        ours=[f"arn:{partition}:iam::{account}:role/{settings.stack}-*"],
        region=region,
        account=account,
        clock=clock,
    )
