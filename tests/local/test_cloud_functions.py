"""Functions run as Lambda runs them."""

import json
from datetime import timedelta

import pytest

from local.cloud import Cloud
from local.pace import Pace
from tests.local.box import box, items

MINUTE = timedelta(minutes=1)


def test_the_handler_gets_its_event_its_environment_and_its_context() -> None:
    with box(parameters={"Greeting": "moin"}) as cloud:
        invocation = cloud.invoke("Keeper", {"do": "note"})
        left = cloud.invoke("Keeper", {"do": "count"}).result["left"]
        assert invocation.result == {"order": "note"}
        assert "note done" in invocation.log
        assert [item["greeting"]["S"] for item in items(cloud, "note")] == ["moin"]
        assert left == 30_000


def test_an_error_is_in_the_invocation_with_its_traceback() -> None:
    with box() as cloud:
        invocation = cloud.invoke("Keeper", {"do": "crash"})
        assert invocation.error == "RuntimeError: told to crash"
        assert any("app.py" in line for line in invocation.log)
        assert not invocation.ok


def test_a_warm_function_keeps_its_module_and_another_box_starts_cold() -> None:
    with box() as cloud:
        seen = [cloud.invoke("Keeper", {"do": "count"}).result["seen"] for _ in range(2)]
    with box() as cloud:
        assert seen == [1, 2]
        assert cloud.invoke("Keeper", {"do": "count"}).result["seen"] == 1


def test_calls_of_functions_are_recorded_and_those_of_the_operator_are_not() -> None:
    with box() as cloud:
        cloud.client("dynamodb").list_tables()
        cloud.invoke("Keeper", {"do": "note"})
        assert [(call.function, call.service, call.operation) for call in cloud.calls] == [
            ("Keeper", "dynamodb", "PutItem")
        ]


def test_an_asynchronous_failure_is_retried_after_one_and_two_minutes_then_told() -> None:
    with box() as cloud:
        cloud.invoke("Keeper", {"do": "crash"}, asynchronous=True)
        cloud.clock.run_for(10 * MINUTE)
        crashes = [each for each in cloud.functions.invocations if each.event.get("do") == "crash"]
        starts = [each.started_at - crashes[0].queued_at for each in crashes if each.started_at]
        messages = cloud.client("sqs").receive_message(QueueUrl=cloud.physical_id("Failures"))
    assert starts == [0 * MINUTE, 1 * MINUTE, 3 * MINUTE]
    assert {each.request_id for each in crashes} == {crashes[0].request_id}
    (message,) = messages["Messages"]
    record = json.loads(message["Body"])
    assert record["requestPayload"] == {"do": "crash"}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"]["errorType"] == "RuntimeError"


def test_a_function_is_stopped_when_its_calls_have_used_up_its_time() -> None:
    with box(pace=Pace(call=timedelta(seconds=8))) as cloud:
        invocation = cloud.invoke("Keeper", {"do": "slow", "items": 9, "tidy": True})
        assert invocation.error == "Killed: Task timed out after 30.00 seconds"
        assert len(items(cloud, "slow")) == 3
        assert items(cloud, "tidied") == []  # `finally` does not save the dead


def test_invoke_over_the_api_runs_the_handler() -> None:
    with box() as cloud:
        answer = cloud.client("lambda").invoke(
            FunctionName=cloud.physical_id("Keeper"), Payload=json.dumps({"do": "note"})
        )
        assert json.load(answer["Payload"]) == {"order": "note"}
        failed = cloud.client("lambda").invoke(
            FunctionName=cloud.physical_id("Keeper"), Payload=json.dumps({"do": "crash"})
        )
        assert failed["FunctionError"] == "Unhandled"
        assert json.load(failed["Payload"])["errorMessage"] == "told to crash"


def test_an_unknown_function_is_named() -> None:
    with box() as cloud, pytest.raises(KeyError, match="no function 'Kepper'"):
        cloud.invoke("Kepper", {})


def test_metrics_in_the_log_are_measured() -> None:
    with box() as cloud:
        cloud.invoke("Watcher", {})
        watched = [metric for metric in cloud.metrics if metric.name == "Watched"]
        assert [(each.value, each.dimensions) for each in watched] == [
            (1.0, {"service": "watchkeeper"})
        ]
        statistics = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="Box",
            MetricName="Watched",
            Dimensions=[{"Name": "service", "Value": "watchkeeper"}],
            StartTime=cloud.clock.now() - MINUTE,
            EndTime=cloud.clock.now() + MINUTE,
            Period=60,
            Statistics=["Sum"],
        )
        assert [point["Sum"] for point in statistics["Datapoints"]] == [1.0]


def powertools_metrics(cloud: Cloud) -> list[tuple[str, float, dict[str, str]]]:
    return [
        (each.name, each.value, each.dimensions)
        for each in cloud.metrics
        if each.function == "Keeper"
    ]


def test_powertools_in_a_layer_are_those_of_the_function_in_every_box() -> None:
    service = {"service": "watchkeeper"}
    for _ in range(2):  # the second box finds the layer imported, outside of any function
        with box() as cloud:
            invocation = cloud.invoke("Keeper", {"do": "measure"})
            assert powertools_metrics(cloud) == [("Before", 1, service), ("After", 1, service)]
            (line,) = [json.loads(line) for line in invocation.log if "measured" in line]
            assert line["service"] == "watchkeeper"


def test_a_twin_does_not_write_what_the_other_has_measured() -> None:
    with box() as cloud:
        cloud.mischief.twin("Keeper", call=1)
        cloud.invoke("Keeper", {"do": "measure"})
        values = [value for _, value, _ in powertools_metrics(cloud)]
        assert values == [1, 1, 1, 1]


def test_metrics_of_a_killed_function_are_lost_and_not_written_by_the_next() -> None:
    with box() as cloud:
        cloud.mischief.kill("Keeper", call=1, when="after")
        cloud.invoke("Keeper", {"do": "measure"})
        assert powertools_metrics(cloud) == []
        cloud.invoke("Keeper", {"do": "measure"})
        assert [name for name, _, _ in powertools_metrics(cloud)] == ["Before", "After"]
