"""What triage is put together from, by where its stack is."""

import pytest

from watchkeeper.aws.alarm_states import AlarmStates
from watchkeeper.aws.audit_trail import EventHistory
from watchkeeper.aws.clock import utc_now
from watchkeeper.aws.incidents import IncidentTable
from watchkeeper.settings import TriageIncidentsSettings
from watchkeeper.triage.audit_looks import AuditLook
from watchkeeper.triage.composed import triaging_in
from watchkeeper.triage.policy import TriagePolicy


def history_elsewhere(partition: str, region: str) -> EventHistory | None:
    settings = TriageIncidentsSettings.read(
        {
            "STACK_NAME": "watchkeeper",
            "TABLE_NAME": "table",
            "NEWS_TOPIC_ARN": f"arn:{partition}:sns:{region}:123456789012:news",
            "PAGES_TOPIC_ARN": f"arn:{partition}:sns:{region}:123456789012:pages",
            "POLICY_PREFIX": "/watchkeeper/policy",
            "INCIDENTS_BUCKET": "incidents",
            "TRAIL_GROUP": "/aws/events/watchkeeper-trail",
        }
    )
    incidents = IncidentTable(settings.table, settings.stack)
    triaging = triaging_in(settings, incidents, AlarmStates(), TriagePolicy(), utc_now)
    look = triaging.looks["the audit trail"]
    assert isinstance(look, AuditLook)
    elsewhere = look.worldwide
    assert elsewhere is None or isinstance(elsewhere, EventHistory)
    return elsewhere


@pytest.mark.parametrize(
    ("partition", "region", "asked"),
    [
        ("aws", "eu-central-1", "us-east-1"),
        ("aws", "us-east-1", None),  # its own history has them
        ("aws-cn", "cn-north-1", None),
        ("aws-us-gov", "us-gov-east-1", None),
    ],
)
def test_what_is_done_in_iam_is_asked_for_where_it_is_told(
    partition: str, region: str, asked: str | None
) -> None:
    elsewhere = history_elsewhere(partition, region)
    assert (elsewhere.region if elsewhere else None) == asked
