"""What alarms are about and what is beside it: asserted on the resources that come out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.aws.errors import Denied
from watchkeeper.triage import alarms
from watchkeeper.triage.alarm_model import Alarm, Kind, Metric
from watchkeeper.triage.alarm_resources import Place, arns_of, is_arn
from watchkeeper.triage.globs import matches
from watchkeeper.triage.log_groups import MOST_GROUPS, groups_of, valid_group
from watchkeeper.triage.looking import MOST_RESOURCES
from watchkeeper.triage.policy import TriagePolicy, parse_triage_policy
from watchkeeper.triage.resources import LONGEST_OWNER, MOST_ASKED, Resourcing, Tags, clean_owner

EVENTS = Path(__file__).parents[3] / "events" / "triage_incidents"
HERE = Place("aws", "eu-west-1", "123456789012")
ALARM = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm"


def arn(service: str, resource: str, region: str = "eu-west-1") -> str:
    return f"arn:aws:{service}:{region}:123456789012:{resource}"


FUNCTION = arn("lambda", "function:orders-api")
DATABASE = arn("rds", "db:orders")


def alarm(name: str = "orders", **fields: Any) -> Alarm:
    key = f"{ALARM}:{name}"
    known = {"identity": f"{key}@x", "key": key, "kind": Kind.METRIC, "name": name, "arn": key}
    return Alarm.model_validate({**known, **fields})


def on(namespace: str, name: str = "orders", **dimensions: str) -> Alarm:
    return alarm(name, metrics=[Metric(namespace=namespace, name="m", dimensions=dimensions)])


# ── What an alarm is about ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("namespace", "dimensions", "expected"),
    [
        ("AWS/EC2", {"InstanceId": "i-0abc"}, [arn("ec2", "instance/i-0abc")]),
        ("AWS/EC2", {"AutoScalingGroupName": "web"},
         [arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/web")]),
        ("AWS/EC2", {"ImageId": "ami-1"}, []),
        ("AWS/EBS", {"VolumeId": "vol-0abc"}, [arn("ec2", "volume/vol-0abc")]),
        ("AWS/RDS", {"DBInstanceIdentifier": "orders"}, [DATABASE]),
        ("AWS/RDS", {"Role": "WRITER", "DBClusterIdentifier": "ledger"},
         [arn("rds", "cluster:ledger")]),
        ("AWS/Lambda", {"FunctionName": "orders-api", "Resource": "orders-api:live"}, [FUNCTION]),
        ("AWS/DynamoDB", {"TableName": "carts", "Operation": "PutItem"},
         [arn("dynamodb", "table/carts")]),
        ("AWS/SQS", {"QueueName": "orders.fifo"}, [arn("sqs", "orders.fifo")]),
        ("AWS/SNS", {"TopicName": "orders"}, [arn("sns", "orders")]),
        ("AWS/ApplicationELB",
         {"LoadBalancer": "app/web/50dc6c495c0c9188", "TargetGroup": "targetgroup/web/6d0e"},
         [arn("elasticloadbalancing", "targetgroup/web/6d0e"),
          arn("elasticloadbalancing", "loadbalancer/app/web/50dc6c495c0c9188")]),
        ("AWS/NetworkELB", {"LoadBalancer": "net/web/50dc"},
         [arn("elasticloadbalancing", "loadbalancer/net/web/50dc")]),
        ("AWS/ELB", {"LoadBalancerName": "old"}, [arn("elasticloadbalancing", "loadbalancer/old")]),
        ("AWS/ECS", {"ClusterName": "shop", "ServiceName": "api"},
         [arn("ecs", "service/shop/api")]),
        ("AWS/ECS", {"ClusterName": "shop"}, [arn("ecs", "cluster/shop")]),
        ("AWS/ApiGateway", {"ApiId": "a1b2c3"}, ["arn:aws:apigateway:eu-west-1::/apis/a1b2c3"]),
        ("AWS/ApiGateway", {"ApiName": "orders", "Stage": "prod"}, []),
        ("AWS/ElastiCache", {"CacheClusterId": "c-001", "CacheNodeId": "0001"},
         [arn("elasticache", "cluster:c-001")]),
        ("AWS/Kinesis", {"StreamName": "clicks"}, [arn("kinesis", "stream/clicks")]),
        ("AWS/States", {"StateMachineArn": arn("states", "stateMachine:pay")},
         [arn("states", "stateMachine:pay")]),
        ("AWS/S3", {"BucketName": "shop", "FilterId": "all"}, ["arn:aws:s3:::shop"]),
        ("AWS/NATGateway", {"NatGatewayId": "nat-0a"}, [arn("ec2", "natgateway/nat-0a")]),
        ("CWAgent", {"InstanceId": "i-0abc", "path": "/"}, [arn("ec2", "instance/i-0abc")]),
        ("AWS/Events", {"RuleName": "nightly"}, [arn("events", "rule/nightly")]),
        ("AWS/Events", {"RuleName": "r", "EventBusName": "bus"}, [arn("events", "rule/bus/r")]),
        ("AWS/Logs", {"LogGroupName": "/aws/lambda/orders-api"},
         [FUNCTION, arn("logs", "log-group:/aws/lambda/orders-api")]),
        ("AWS/Logs", {"LogGroupName": "/aws/rds/instance/orders/postgresql"},
         [DATABASE, arn("logs", "log-group:/aws/rds/instance/orders/postgresql")]),
        ("CloudWatchSynthetics", {"CanaryName": "home"}, [arn("synthetics", "canary:home")]),
        ("AWS/Route53", {"HealthCheckId": "h1"}, ["arn:aws:route53:::healthcheck/h1"]),
        # Of one's own: only what can mean nothing else.
        ("Shop", {"FunctionName": "orders-api"}, [FUNCTION]),
        ("Shop", {"function_name": "orders-api", "service": "orders"}, [FUNCTION]),
        ("Shop", {"QueueName": "rabbit", "TableName": "sql", "ClusterName": "k"}, []),
        ("Shop", {"InstanceId": "tenant-7"}, []),
        ("Shop", {"Target": DATABASE}, [DATABASE]),
        # What is in no ARN.
        ("AWS/SQS", {"QueueName": "a b"}, []),
        ("AWS/SQS", {"QueueName": "*"}, []),
        ("AWS/SQS", {"QueueName": "a:b"}, []),
        ("AWS/SQS", {"QueueName": ""}, []),
        ("AWS/Lambda", {"FunctionName": "x" * 256}, []),
        ("AWS/Usage", {"Service": "EC2"}, []),
    ],
)  # fmt: skip
def test_a_metric_is_of_the_resource_that_its_dimensions_name(
    namespace: str, dimensions: dict[str, str], expected: list[str]
) -> None:
    assert list(arns_of(on(namespace, **dimensions))) == expected


def test_metric_math_is_about_all_that_it_reads_what_it_returns_first() -> None:
    def line(queue: str, *, returned: bool) -> Metric:
        dimensions = {"QueueName": queue}
        return Metric(namespace="AWS/SQS", name="m", dimensions=dimensions, returned=returned)

    found = arns_of(alarm(metrics=[line("in", returned=False), line("out", returned=True)]))
    assert found == (arn("sqs", "out"), arn("sqs", "in"))


def test_every_kind_of_alarm_that_reaches_us_has_its_resources() -> None:
    found = {}
    for file in sorted(EVENTS.glob("*alarm*.json")):
        told = alarms.read(json.loads(file.read_text("utf-8")))
        found[file.stem] = [arn for one in told for arn in arns_of(one, HERE)]
    assert found["contributor-alarm"] == [arn("dynamodb", "table/carts")]
    assert found["log-alarm"] == [
        arn("lambda", "function:checkout"), arn("logs", "log-group:/aws/lambda/checkout")
    ]  # fmt: skip
    assert found["metric-alarm"]
    assert found["metric-alarm"] == found["metric-alarm-sns"] == found["metric-alarm-direct"]
    assert found["composite-alarm"] == []
    assert all(is_arn(one) for each in found.values() for one in each if "*" not in one)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"arn": DATABASE}, [DATABASE]),
        ({"resource": FUNCTION}, [FUNCTION]),
        ({"instance_id": "i-0abc"}, [arn("ec2", "instance/i-0abc")]),
        ({"dbinstance_identifier": "orders"}, [DATABASE]),
        ({"dimension_DBInstanceIdentifier": "orders", "name": DATABASE}, [DATABASE]),
        ({"function_name": "orders-api"}, [FUNCTION]),
        ({"queue": "orders"}, [arn("sqs", "orders")]),
        ({"table": "carts"}, [arn("dynamodb", "table/carts")]),
        ({"log_group": "/shop/api"}, [arn("logs", "log-group:/shop/api")]),
        ({"function_name": "orders-api", "region": "us-east-1"},
         [arn("lambda", "function:orders-api", "us-east-1")]),
        ({"function_name": "orders-api", "region": "mars"}, [FUNCTION]),
        ({"instance": "10.0.0.7:9100", "job": "node"}, []),
        ({"arn": "arn:aws:rds:*:*:db:*"}, []),
        ({"arn": f"{DATABASE} or 1=1"}, []),
        ({"arn": "arn:aws:iam::aws:policy/x"}, []),
    ],
)  # fmt: skip
def test_an_alert_is_about_what_its_labels_name(
    labels: dict[str, str], expected: list[str]
) -> None:
    one = alarm(kind=Kind.ALERT, arn="", labels=labels)
    assert list(arns_of(one, HERE)) == expected


def test_a_tag_of_an_alarm_can_say_what_it_is_about() -> None:
    api = "arn:aws:apigateway:eu-west-1::/restapis/a1b2c3"
    tags = {"Arn": api, "queue": "orders", "aws:cloudformation:stack-id": FUNCTION}
    one = on("AWS/ApiGateway", ApiName="orders").model_copy(update={"labels": tags})
    assert arns_of(one) == (api,)


def test_an_alert_from_nowhere_is_about_nothing_but_the_arns_in_it() -> None:
    one = alarm(kind=Kind.ALERT, arn="", labels={"queue": "orders", "arn": DATABASE})
    assert arns_of(one) == (DATABASE,)


def test_resources_are_where_the_alarm_is() -> None:
    key = "arn:aws-cn:cloudwatch:cn-north-1:210987654321:alarm:x"
    metrics = [Metric(namespace="AWS/SQS", name="m", dimensions={"QueueName": "orders"})]
    one = alarm(arn=key, metrics=metrics)
    assert arns_of(one, HERE) == ("arn:aws-cn:sqs:cn-north-1:210987654321:orders",)


@given(
    st.dictionaries(
        st.sampled_from(["FunctionName", "QueueName", "arn", "LogGroupName", "x"]), st.text()
    ),
    st.sampled_from(["AWS/SQS", "AWS/Lambda", "AWS/Logs", "Shop", ""]),
)
def test_whatever_is_in_an_alarm_only_arns_come_out(values: dict[str, str], namespace: str) -> None:
    one = alarm(
        kind=Kind.ALERT,
        labels=values,
        contributor_attributes=values,
        log_groups=list(values.values()),
        metrics=[{"namespace": namespace, "name": "m", "dimensions": values}],
    )
    assert all(is_arn(found) for found in arns_of(one, HERE))


# ── Log groups ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (FUNCTION, ["/aws/lambda/orders-api"]),
        (f"{FUNCTION}:live", ["/aws/lambda/orders-api"]),
        (DATABASE, [f"/aws/rds/instance/orders/{log}" for log in
                    ("postgresql", "error", "slowquery", "alert")]),
        (arn("rds", "cluster:ledger"), [f"/aws/rds/cluster/ledger/{log}" for log in
                                        ("postgresql", "error", "slowquery")]),
        (arn("ecs", "service/shop/api"), ["/ecs/api"]),
        ("arn:aws:apigateway:eu-west-1::/restapis/a1", ["/aws/apigateway/a1"]),
        ("arn:aws:apigateway:eu-west-1::/restapis/a1/stages/prod",
         ["API-Gateway-Execution-Logs_a1/prod", "/aws/apigateway/a1"]),
        (arn("states", "stateMachine:pay"),
         ["/aws/vendedlogs/states/pay-Logs", "/aws/vendedlogs/states/pay"]),
        (arn("logs", "log-group:/shop/api:*"), ["/shop/api"]),
        (arn("eks", "cluster/k"), []),
        (arn("ec2", "instance/i-0abc"), []),
        ("nonsense", []),
    ],
)  # fmt: skip
def test_a_service_writes_where_it_always_does(of: str, expected: list[str]) -> None:
    assert list(groups_of(of, {}, ())) == expected


def test_tag_and_policy_come_first_and_only_names_of_log_groups_count() -> None:
    tag = "/shop/api /shop/api  ../x;rm * /ok#1 " + "y" * 513
    found = groups_of(FUNCTION, {"watchkeeper:logs": tag}, ["/by/policy"])
    assert found == ("/shop/api", "/ok#1", "/by/policy", "/aws/lambda/orders-api")


@given(st.text())
def test_a_tag_names_no_more_groups_than_are_read(tag: str) -> None:
    found = groups_of(DATABASE, {"watchkeeper:logs": tag}, ())
    assert len(found) <= MOST_GROUPS
    assert all(map(valid_group, found))


# ── What is beside it ─────────────────────────────────────────────────────────────────────────────


@dataclass
class Index:
    """AWS's index of tags."""

    tags: Mapping[str, Tags] = field(default_factory=dict)
    is_all: bool = True
    of_fails: Exception | None = None
    sharing_fails: Exception | None = None

    def of(self, arns: Sequence[str]) -> Mapping[str, Tags]:
        if self.of_fails:
            raise self.of_fails
        assert all(map(is_arn, arns))
        return {one: self.tags[one] for one in arns if one in self.tags}

    def sharing(self, key: str, value: str) -> tuple[Mapping[str, Tags], bool]:
        if self.sharing_fails:
            raise self.sharing_fails
        return {one: tags for one, tags in self.tags.items() if tags.get(key) == value}, self.is_all


DENIED = Denied("tag:GetResources", "AccessDenied", "no <b>")


def policy(**fields: Any) -> TriagePolicy:
    return parse_triage_policy(json.dumps(fields))


def test_the_alarms_own_come_first_with_owner_tags_and_logs() -> None:
    index = Index({FUNCTION: {"service": "orders", "owner": " team\x1b[31m orders\u202e "}})
    [found], unchecked = Resourcing(policy(), index, HERE)(
        [on("AWS/Lambda", FunctionName="orders-api")]
    )
    assert (found.arn, found.beside, unchecked) == (FUNCTION, "", [])
    assert found.owner == "team [31m orders"
    assert found.tags["service"] == "orders"
    assert found.log_groups == ("/aws/lambda/orders-api",)


@pytest.mark.parametrize(
    ("tags", "fields", "owner"),
    [
        ({"owner": "a"}, {"default_owner": "z"}, "a"),
        ({"Owner": "a"}, {"default_owner": "z"}, "z"),
        ({"team": "a", "owner": "b"}, {"owner_tag": "team"}, "a"),
        ({"owner": "\x00\n "}, {"default_owner": "z"}, "z"),
        ({}, {"owners": [{"resources": "arn:aws:rds:*", "owner": "dba"}]}, "dba"),
        ({}, {"owners": [{"resources": "arn:aws:sqs:*", "owner": "q"}]}, ""),
    ],
)
def test_whose_it_is(tags: Tags, fields: dict[str, Any], owner: str) -> None:
    resourcing = Resourcing(policy(**fields), Index({DATABASE: tags}), HERE)
    [found], _ = resourcing([on("AWS/RDS", DBInstanceIdentifier="orders")])
    assert found.owner == owner


@given(st.text())
def test_an_owner_can_be_shown_on_one_line(text: str) -> None:
    owner = clean_owner(text)
    assert len(owner) <= LONGEST_OWNER
    assert owner == "" or owner.isprintable()
    assert clean_owner(owner) == owner


def test_neighbours_are_called_call_or_share_a_tag_and_say_so() -> None:
    gateway, snapshot = "arn:aws:apigateway:eu-west-1::/apis/a1", arn("rds", "snapshot:orders")
    queue, other = arn("sqs", "orders"), arn("sqs", "billing")
    shared = {"service": "orders"}
    index = Index(
        {FUNCTION: shared, queue: shared, snapshot: shared, other: {"service": "billing"},
         arn("cloudwatch", "alarm:x"): shared, gateway: {"owner": "edge"}}
    )  # fmt: skip
    calls = {FUNCTION: [DATABASE], gateway: [FUNCTION]}
    found, unchecked = Resourcing(policy(calls=calls), index, HERE)(
        [on("AWS/Lambda", FunctionName="orders-api")]
    )
    assert {one.arn: one.beside for one in found} == {
        FUNCTION: "",
        DATABASE: "function:orders-api calls it",
        gateway: "it calls function:orders-api",
        queue: 'its tag service is "orders" as well',
    }
    assert {one.owner for one in found if one.arn == gateway} == {"edge"}
    assert unchecked == []


def test_the_instances_of_an_auto_scaling_group_are_beside_it() -> None:
    instance = arn("ec2", "instance/i-0abc")
    index = Index({instance: {"aws:autoscaling:groupName": "web"}})
    found, _ = Resourcing(policy(), index, HERE)([on("AWS/EC2", AutoScalingGroupName="web")])
    assert [(one.arn, one.beside) for one in found][1:] == [
        (instance, 'the Auto Scaling group "web" runs it')
    ]


def test_no_more_are_looked_at_than_a_person_reads_and_the_rest_is_said() -> None:
    queues = [on("AWS/SQS", name=f"q{n}", QueueName=f"q{n}") for n in range(15)]
    found, unchecked = Resourcing(policy(), Index(), HERE)(queues)
    assert len(found) == MOST_RESOURCES
    assert [one.what for one in unchecked] == [
        '3 more resources of the alarms: "q12", "q13", "q14"'
    ]
    shared = {arn("lambda", f"function:f{n:02}"): {"service": "s"} for n in range(40)}
    index = Index({arn("sqs", "q0"): {"service": "s"}, **shared}, is_all=False)
    found, unchecked = Resourcing(policy(), index, HERE)(queues[:1])
    assert (len(found), found[0].arn) == (MOST_RESOURCES, arn("sqs", "q0"))
    whats = [one.what for one in unchecked]
    assert any(what.startswith('all of what else has the tag service = "s"') for what in whats)
    assert any(what.startswith("29 more resources beside them: ") for what in whats)


def test_one_alarm_of_many_resources_does_not_crowd_out_the_others() -> None:
    lines = [
        Metric(namespace="AWS/SQS", name="m", dimensions={"QueueName": f"q{n}"}) for n in range(15)
    ]
    found, _ = Resourcing(policy(), Index(), HERE)(
        [alarm(metrics=lines), on("AWS/RDS", DBInstanceIdentifier="orders")]
    )
    assert [one.arn for one in found][:2] == [arn("sqs", "q0"), DATABASE]


def test_likelier_causes_are_the_nearer_neighbours() -> None:
    shared = {"service": "s"}
    arns = [arn("sns", "t"), arn("sqs", "q"), FUNCTION, DATABASE, arn("ec2", "instance/i-1")]
    index = Index(dict.fromkeys([*arns, arn("kinesis", "stream/s")], shared))
    found, _ = Resourcing(policy(), index, HERE)([on("AWS/Kinesis", StreamName="s")])
    assert [one.arn for one in found][1:] == [DATABASE, FUNCTION, arns[1], arns[4], arns[0]]


def test_tags_that_cannot_be_read_are_said_and_the_rest_goes_on() -> None:
    alarms = [on("AWS/Lambda", FunctionName="orders-api")]
    calls = {FUNCTION: [DATABASE]}
    found, unchecked = Resourcing(policy(calls=calls), Index(of_fails=DENIED), HERE)(alarms)
    assert [one.arn for one in found] == [FUNCTION, DATABASE]
    assert [(one.what, one.why) for one in unchecked] == [
        ('the tags of "function:orders-api", "db:orders"', DENIED.quoted)
    ]
    index = Index({FUNCTION: {"service": "orders"}}, sharing_fails=DENIED)
    found, unchecked = Resourcing(policy(), index, HERE)(alarms)
    assert [one.arn for one in found] == [FUNCTION]
    assert [one.what for one in unchecked] == ['what else has the tag service = "orders"']


def test_what_is_elsewhere_has_no_tags_here() -> None:
    there = Place("aws", "us-east-1", "123456789012")
    index = Index({FUNCTION: {"owner": "x"}})
    [found], unchecked = Resourcing(policy(), index, there)(
        [on("AWS/Lambda", FunctionName="orders-api")]
    )
    assert found.owner == ""
    assert [one.what for one in unchecked] == ['the tags of "function:orders-api"']


def test_tags_ask_for_no_more_than_a_few_others() -> None:
    asked = []

    class Counting(Index):
        def sharing(self, key: str, value: str) -> tuple[Mapping[str, Tags], bool]:
            asked.append((key, value))
            return super().sharing(key, value)

    queues = [on("AWS/SQS", name=f"q{n}", QueueName=f"q{n}") for n in range(12)]
    index = Counting({arn("sqs", f"q{n}"): {"service": f"s{n}"} for n in range(12)})
    Resourcing(policy(), index, HERE)(queues)
    assert len(asked) == MOST_ASKED


def test_an_alarm_about_nothing_known_is_said() -> None:
    found, unchecked = Resourcing(policy(), Index(), HERE)(
        [on("Shop", name="\x1b[2Jcarts", Tenant="7")]
    )
    assert found == []
    assert [one.what for one in unchecked] == [
        'which resources the alarms "\\u001b[2Jcarts" are about'
    ]


# ── Composite alarms ──────────────────────────────────────────────────────────────────────────────

COMPOSITE = alarm(
    "all", kind=Kind.COMPOSITE, children=[f"{ALARM}:orders", f"{ALARM}:slow"], rule="ALARM(x)"
)
CHILDREN = [on("AWS/RDS", DBInstanceIdentifier="orders"), on("AWS/SQS", "slow", QueueName="q")]


def test_a_composite_alarm_is_about_what_its_children_are_about() -> None:
    found, unchecked = Resourcing(policy(), Index(), HERE)([COMPOSITE, *CHILDREN])
    assert [one.arn for one in found] == [DATABASE, arn("sqs", "q")]
    assert unchecked == []


def test_children_that_are_not_known_are_asked_for() -> None:
    def described(names: Sequence[str]) -> Sequence[Alarm]:
        return [one for one in CHILDREN if one.name in names]

    found, unchecked = Resourcing(policy(), Index(), HERE, described)([COMPOSITE, CHILDREN[1]])
    assert [one.arn for one in found] == [arn("sqs", "q"), DATABASE]
    assert unchecked == []


@pytest.mark.parametrize("is_denied", [True, False])
def test_children_that_cannot_be_known_are_said(*, is_denied: bool) -> None:
    def described(_: Sequence[str]) -> Sequence[Alarm]:
        raise DENIED

    resourcing = Resourcing(policy(), Index(), HERE, described if is_denied else None)
    found, unchecked = resourcing([COMPOSITE])
    assert found == []
    assert [one.what for one in unchecked] == [
        'what the composite alarms are about: "orders", "slow"'
    ]


def test_the_same_alarms_and_tags_give_the_same_resources() -> None:
    shared = {arn("lambda", f"function:f{n:02}"): {"service": "s", "app": "a"} for n in range(30)}
    one = Resourcing(policy(together_tags=["service", "app"]), Index(shared), HERE)
    other = Resourcing(
        policy(together_tags=["service", "app"]), Index(dict(reversed(shared.items()))), HERE
    )
    alarms = [on("AWS/Lambda", FunctionName="f03")]
    assert one(alarms) == other(alarms)


# ── Patterns ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True), ("*", "a", True), ("", "", True), ("", "a", False), ("a*", "abc", True),
        ("*c", "abc", True), ("a*c", "abc", True), ("a*c", "abcd", False), ("a?c", "abc", True),
        ("a?c", "ac", False), ("*a*b*", "xxaxxbxx", True), ("[a]", "a", False),
        ("[a]", "[a]", True), ("A", "a", False), ("**", "x", True), ("a*b*c", "a-b-b-c", True),
    ],
)  # fmt: skip
def test_what_a_pattern_covers(pattern: str, text: str, *, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 150, "a" * 149 + "b" * 200)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_patterns_are_as_the_shell_has_them(pattern: str, text: str) -> None:
    from fnmatch import fnmatchcase  # noqa: PLC0415 (only here, to be held against)

    assert matches(pattern, text) == fnmatchcase(text, pattern)
