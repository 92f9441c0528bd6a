"""What every function must have; a new one is checked by being in the template."""

import re
from itertools import pairwise

from tests.template.stack import ROOT, Data, Stack


def test_functions_are_named_for_their_folders(source: Data, stack: Stack) -> None:
    known = {
        "TakeBackups", "ExpireBackups", "DrillRestores", "RecoverResources", "TriageIncidents",
        "SweepRuns",
    }  # fmt: skip
    assert known <= stack.functions.keys()
    for name in stack.functions:
        assert source["Resources"][name]["Properties"]["CodeUri"] == f"functions/{folder(name)}/"
        assert (ROOT / "functions" / folder(name) / "app.py").is_file()


def test_every_function_has_events_to_invoke_it_with(stack: Stack) -> None:
    for name in stack.functions:
        assert list((ROOT / "events" / folder(name)).glob("*.json")), name


def folder(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_function_runs_the_same_way(stack: Stack) -> None:
    layers = stack.of_type("AWS::Lambda::LayerVersion")
    assert len(layers) == 2
    for name, function in stack.functions.items():
        assert function["Runtime"] == "python3.13", name
        assert function["Handler"] == "app.handler", name
        assert function["Architectures"] == ["x86_64"], name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Layers"] == [stack.ref(layer) for layer in layers], name
        assert len(function["Description"]) > 40, name


def test_functions_end_before_they_are_woken_again_or_lambda_ends_them(stack: Stack) -> None:
    for name, function in stack.functions.items():
        assert 0 < function["Timeout"] <= 900, name
    assert stack.functions["SweepRuns"]["Timeout"] < 60


def test_every_function_is_told_where_its_things_are(usual: Stack, different: Stack) -> None:
    for stack, prefix, level in (
        (usual, "/watchkeeper/policy", "INFO"),
        (different, "/operations/night-watch", "DEBUG"),
    ):
        for name, function in stack.functions.items():
            variables = function["Environment"]["Variables"]
            isolation = {each for each in variables if each.startswith("DRILL_")}
            assert bool(isolation) == (name == "DrillRestores")  # test_isolation.py has the values
            of_triage = {
                "INCIDENTS_BUCKET": stack.ref("IncidentsBucket"),
                "TRAIL_GROUP": stack.ref("TrailLog"),
            }
            assert {each: variables[each] for each in variables.keys() - isolation} == {
                **(of_triage if name == "TriageIncidents" else {}),
                "TABLE_NAME": stack.ref("Table"),
                "NEWS_TOPIC_ARN": stack.ref("NewsTopic"),
                "PAGES_TOPIC_ARN": stack.ref("PagesTopic"),
                "POLICY_PREFIX": prefix,
                "EVIDENCE_BUCKET": stack.ref("EvidenceBucket"),
                "STACK_NAME": "stack",
                "POWERTOOLS_SERVICE_NAME": "stack",
                "POWERTOOLS_METRICS_NAMESPACE": "Watchkeeper",
                "POWERTOOLS_LOG_LEVEL": level,
            }, name


def test_every_function_logs_json_to_its_own_group_for_as_long_as_asked(
    usual: Stack, different: Stack
) -> None:
    for stack, days, level in ((usual, "90", "INFO"), (different, "365", "DEBUG")):
        for name, function in stack.functions.items():
            assert function["LoggingConfig"] == {
                "LogFormat": "JSON",
                "ApplicationLogLevel": level,
                "SystemLogLevel": "INFO",
                "LogGroup": stack.ref(f"{name}Log"),
            }
            assert str(stack.properties(f"{name}Log")["RetentionInDays"]) == days


def test_what_a_function_gives_up_goes_to_its_own_queue(stack: Stack) -> None:
    configured = stack.of_type("AWS::Lambda::EventInvokeConfig")
    by_function = {each["FunctionName"]: each for each in configured.values()}
    assert by_function.keys() == {stack.ref(name) for name in stack.functions}
    for name in stack.functions:
        config = by_function[stack.ref(name)]
        queue = stack.arn(f"{name}Unhandled")
        assert config["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
        assert 60 <= config["MaximumEventAgeInSeconds"] <= 6 * 3600
        assert 0 <= config["MaximumRetryAttempts"] <= 2
        may_send = {
            str(statement["Resource"])
            for statement in stack.statements(name)
            if "sqs:SendMessage" in str(statement["Action"])
        }
        assert may_send == {queue}


def test_every_function_has_alarms_for_errors_and_for_both_its_queues(stack: Stack) -> None:
    for name in stack.functions:
        errors = stack.alarms_on("AWS/Lambda", "Errors", "FunctionName", stack.ref(name))
        assert errors == [f"{name}ErrorsAlarm"]
        for queue in (f"{name}Undelivered", f"{name}Unhandled"):
            metric = "ApproximateNumberOfMessagesVisible"
            queue_name = stack.attribute(queue, "QueueName")
            assert stack.alarms_on("AWS/SQS", metric, "QueueName", queue_name) == [f"{queue}Alarm"]


def test_every_queue_belongs_to_a_function(stack: Stack) -> None:
    belonging = {
        f"{name}{kind}" for name in stack.functions for kind in ("Undelivered", "Unhandled")
    }
    # And one that brings alarms, of which a function reads.
    assert stack.of_type("AWS::SQS::Queue").keys() == belonging | {"AlarmsQueue"}


def test_logs_queues_and_alarms_stand_directly_below_their_function(source: Data) -> None:
    order = list(source["Resources"])
    for name, resource in source["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            start = order.index(name)
            assert order[start : start + 7] == [
                name,
                f"{name}Log",
                f"{name}Undelivered",
                f"{name}Unhandled",
                f"{name}ErrorsAlarm",
                f"{name}UndeliveredAlarm",
                f"{name}UnhandledAlarm",
            ]


def test_what_a_function_says_of_itself_is_always_in_the_same_order(source: Data) -> None:
    order = [
        "Description", "CodeUri", "Timeout", "MemorySize", "ReservedConcurrentExecutions",
        "LoggingConfig", "Environment", "EventInvokeConfig", "Events", "Policies",
    ]  # fmt: skip
    for name, resource in source["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            places = [order.index(key) for key in resource["Properties"]]
            assert all(before < after for before, after in pairwise(places)), name
