"""Alarms notice, say so, and say when it is over."""

from datetime import timedelta

from local.cloud import Cloud
from tests.local.box import box

MINUTE = timedelta(minutes=1)


def pages(cloud: Cloud, alarm: str) -> list[tuple[float, str]]:
    """Minute and new state of what people were told about this alarm."""
    start = cloud.clock.now().replace(hour=0, minute=0)
    return [
        ((page.at - start) / MINUTE, page.json()["NewStateValue"])
        for page in cloud.published("Pages")
        if page.json()["AlarmName"] == cloud.physical_id(alarm)
    ]


def test_an_alarm_on_a_queue_pages_and_recovers_when_the_queue_is_empty() -> None:
    with box() as cloud:
        cloud.clock.run_for(6 * MINUTE)
        cloud.invoke("Keeper", {"do": "crash"}, asynchronous=True)
        cloud.clock.run_for(30 * MINUTE)
        assert pages(cloud, "FailuresAlarm") == [(5, "OK"), (10, "ALARM")]
        cloud.client("sqs").purge_queue(QueueUrl=cloud.physical_id("Failures"))
        cloud.clock.run_for(20 * MINUTE)
        assert pages(cloud, "FailuresAlarm") == [(5, "OK"), (10, "ALARM"), (40, "OK")]


def test_a_page_has_the_fields_of_a_real_alarm_message() -> None:
    with box() as cloud:
        cloud.clock.run_for(6 * MINUTE)
        (page,) = cloud.published("Pages")
        message = page.json()
    assert page.subject == f'OK: "{message["AlarmName"]}" in US East (N. Virginia)'
    assert message["OldStateValue"] == "INSUFFICIENT_DATA"
    assert message["Trigger"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert message["Trigger"]["TreatMissingData"] == "notBreaching"
    assert message["StateChangeTime"] == "2026-11-23T00:05:00.000+0000"


def test_silence_breaches_where_missing_data_are_said_to() -> None:
    with box() as cloud:
        cloud.clock.run_for(10 * MINUTE)
        assert pages(cloud, "SilenceAlarm") == []
        cloud.client("scheduler").delete_schedule(Name=cloud.physical_id("WatcherTick"))
        cloud.clock.run_for(timedelta(hours=1))
        # The last tick was at 00:10: its minute ends at 00:11, and five silent ones at 00:16.
        assert pages(cloud, "SilenceAlarm") == [(16, "ALARM")]


def test_a_change_of_state_is_an_event_too() -> None:
    with box() as cloud:
        events = cloud.client("events")
        events.put_rule(Name="alarms", EventPattern='{"source": ["aws.cloudwatch"]}')
        queue = cloud.client("sqs").create_queue(QueueName="alarms")["QueueUrl"]
        arn = "arn:aws:sqs:us-east-1:123456789012:alarms"
        events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": arn}])
        cloud.client("cloudwatch").set_alarm_state(
            AlarmName=cloud.physical_id("SilenceAlarm"), StateValue="ALARM", StateReason="a test"
        )
        cloud.clock.settle()
        (message,) = cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        assert '"detail-type": "CloudWatch Alarm State Change"' in message["Body"]
        assert pages(cloud, "SilenceAlarm") == [(0, "ALARM")]
