"""Which resources an alarm is about, by what it looks at. Pure.

By namespace and dimensions, as each service documents its own; of a metric that somebody publishes
themselves, only dimensions that can mean nothing else. The names in them are anybody's text: what
could not be part of an ARN is left out. Metrics Insights and PromQL queries are not read.

An Auto Scaling group's ARN holds an id that no alarm says: there is a `*` in its place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from watchkeeper.triage.alarm_model import Alarm, Kind, Metric
from watchkeeper.triage.log_groups import valid_group, writer_of

MOST = 20
"""Resources of one alarm: metric math takes ten metrics, a fleet's labels a few more."""

_ARN = re.compile(
    r"arn:aws[a-z-]{0,12}:[a-z0-9-]{2,32}:[a-z0-9-]{0,32}:(?:[0-9]{12})?:[\w.$/+=,@:#-]{1,255}",
    re.ASCII,
)
_VALUE = re.compile(r"[\w.$/+=,@#-]{1,255}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}")
_ACCOUNT = re.compile(r"[0-9]{12}")


class Place(NamedTuple):
    partition: str
    region: str
    account: str


class Row(NamedTuple):
    """These dimensions together are a resource."""

    dimensions: tuple[str, ...]
    service: str
    resource: str
    """Of its ARN, with the dimensions' values in order."""
    shape: str = ""
    """What the first value looks like where it must not be anything else."""

    def resource_of(self, values: Mapping[str, str]) -> str:
        """The last part of the ARN; "" if these are not the dimensions, or hold what no ARN does.

        Its keys are folded names.
        """
        found = [values.get(fold(name), "") for name in self.dimensions]
        if not all(map(_VALUE.fullmatch, found)) or not found[0].startswith(self.shape):
            return ""
        return self.resource.format(*found)


_INSTANCE = Row(("InstanceId",), "ec2", "instance/{}", "i-")
_VOLUME = Row(("VolumeId",), "ec2", "volume/{}", "vol-")
_GROUP = Row(("AutoScalingGroupName",), "autoscaling", "autoScalingGroup:*:autoScalingGroupName/{}")
_DATABASE = Row(("DBInstanceIdentifier",), "rds", "db:{}")
_CLUSTER = Row(("DBClusterIdentifier",), "rds", "cluster:{}")
_FUNCTION = Row(("FunctionName",), "lambda", "function:{}")
_TABLE = Row(("TableName",), "dynamodb", "table/{}")
_QUEUE = Row(("QueueName",), "sqs", "{}")
_TOPIC = Row(("TopicName",), "sns", "{}")
_TARGETS = Row(("TargetGroup",), "elasticloadbalancing", "{}", "targetgroup/")
_BALANCERS = tuple(
    Row(("LoadBalancer",), "elasticloadbalancing", "loadbalancer/{}", shape)
    for shape in ("app/", "net/", "gwy/")
)
_TASKS = Row(("ClusterName", "ServiceName"), "ecs", "service/{}/{}")
_CACHE = Row(("CacheClusterId",), "elasticache", "cluster:{}")
_STREAM = Row(("StreamName",), "kinesis", "stream/{}")
_BUCKET = Row(("BucketName",), "s3", "{}")
_NAT = Row(("NatGatewayId",), "ec2", "natgateway/{}", "nat-")
_CANARY = Row(("CanaryName",), "synthetics", "canary:{}")
_LOGS = Row(("LogGroupName",), "logs", "log-group:{}")
_API = Row(("ApiId",), "apigateway", "/apis/{}")

_BY_NAMESPACE: Mapping[str, Sequence[Row]] = {
    "AWS/EC2": (_INSTANCE, _GROUP),
    "AWS/EBS": (_VOLUME,),
    "AWS/RDS": (_DATABASE, _CLUSTER),
    "AWS/DocDB": (_DATABASE, _CLUSTER),
    "AWS/Neptune": (_DATABASE, _CLUSTER),
    "AWS/Lambda": (_FUNCTION,),
    "AWS/DynamoDB": (_TABLE,),
    "AWS/SQS": (_QUEUE,),
    "AWS/SNS": (_TOPIC,),
    "AWS/ApplicationELB": (_TARGETS, *_BALANCERS),
    "AWS/NetworkELB": (_TARGETS, *_BALANCERS),
    "AWS/GatewayELB": (_TARGETS, *_BALANCERS),
    "AWS/ELB": (Row(("LoadBalancerName",), "elasticloadbalancing", "loadbalancer/{}"),),
    "AWS/ECS": (_TASKS, Row(("ClusterName",), "ecs", "cluster/{}")),
    "ECS/ContainerInsights": (_TASKS, Row(("ClusterName",), "ecs", "cluster/{}")),
    "ContainerInsights": (Row(("ClusterName",), "eks", "cluster/{}"),),
    "AWS/ApiGateway": (_API,),
    "AWS/ElastiCache": (
        _CACHE,
        Row(("ReplicationGroupId",), "elasticache", "replicationgroup:{}"),
    ),
    "AWS/AutoScaling": (_GROUP,),
    "AWS/Kinesis": (_STREAM,),
    "AWS/Firehose": (Row(("DeliveryStreamName",), "firehose", "deliverystream/{}"),),
    "AWS/S3": (_BUCKET,),
    "AWS/NATGateway": (_NAT,),
    "AWS/Events": (
        Row(("EventBusName", "RuleName"), "events", "rule/{}/{}"),
        Row(("RuleName",), "events", "rule/{}"),
    ),
    "AWS/Logs": (_LOGS,),
    "AWS/EFS": (Row(("FileSystemId",), "elasticfilesystem", "file-system/{}"),),
    "AWS/ES": (Row(("DomainName",), "es", "domain/{}"),),
    "AWS/Redshift": (Row(("ClusterIdentifier",), "redshift", "cluster:{}"),),
    "AWS/CloudFront": (Row(("DistributionId",), "cloudfront", "distribution/{}"),),
    "AWS/Route53": (Row(("HealthCheckId",), "route53", "healthcheck/{}"),),
    "CloudWatchSynthetics": (_CANARY,),
}
"""AWS/States says ARNs, which are read as such in any namespace. AWS/ApiGateway says only the name
of a REST API, which is in no ARN.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html
"""
_OF_ANYBODY = (_INSTANCE, _VOLUME, _NAT, _DATABASE, _CLUSTER, _FUNCTION, _GROUP, _LOGS)
"""Of a namespace that is not in the list: the CloudWatch agent's, and people's own."""
_LABELS = (
    _DATABASE, _CLUSTER, _FUNCTION, _INSTANCE, _VOLUME, _TABLE, _QUEUE, _TOPIC, _TARGETS,
    *_BALANCERS, _TASKS, _CACHE, _STREAM, _BUCKET, _NAT, _CANARY, _LOGS, _API, _GROUP,
    Row(("Function",), "lambda", "function:{}"), Row(("Table",), "dynamodb", "table/{}"),
    Row(("Queue",), "sqs", "{}"), Row(("Topic",), "sns", "{}"), Row(("Bucket",), "s3", "{}"),
    Row(("LogGroup",), "logs", "log-group:{}"),
)  # fmt: skip
"""Of an alert or a contributor: nothing says the namespace."""
_MEANT = {"arn", "resource", "resourcearn"}
"""Tags of a CloudWatch alarm that say what it is about; others, of CloudFormation's, hold ARNs."""
_WITHOUT_ACCOUNT = {"s3", "apigateway", "route53"}
_WITHOUT_REGION = {"s3", "cloudfront", "route53", "iam"}


def fold(name: str) -> str:
    """Exporters write `dimension_QueueName`, `queue_name` or `queuename` for `QueueName`."""
    return name.lower().removeprefix("dimension_").replace("_", "")


def is_arn(value: str) -> bool:
    """Whether a text is the ARN of one resource, and nothing else."""
    return _ARN.fullmatch(value) is not None


def place_of(alarm: Alarm, ours: Place | None) -> Place | None:
    """Where what the alarm is about is: where the alarm is, else where its labels say, else here.

    None if nobody knows.
    """
    parts = alarm.arn.split(":", 6)
    if is_arn(alarm.arn):
        return Place(parts[1], parts[3], parts[4])
    folded = {fold(name): value for name, value in alarm.labels.items()}
    regions = (alarm.region, folded.get("region", ""), ours.region if ours else "")
    accounts = (alarm.account, folded.get("accountid", ""), ours.account if ours else "")
    region = next(filter(_REGION.fullmatch, regions), "")
    account = next(filter(_ACCOUNT.fullmatch, accounts), "")
    if not region or not account:
        return None
    return Place(partition_of(region), region, account)


def partition_of(region: str) -> str:
    """https://docs.aws.amazon.com/general/latest/gr/rande.html"""
    return {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}.get(
        next((one for one in ("cn-", "us-gov-") if region.startswith(one)), ""), "aws"
    )


def arns_of(alarm: Alarm, ours: Place | None = None) -> tuple[str, ...]:
    """ARNs of what one alarm is about, the closest first; of a composite alarm none: it is about
    what its children are about.

    `ours` is where we are, for alerts that do not say.
    """
    place = place_of(alarm, ours)
    metrics = sorted(alarm.metrics, key=lambda one: not one.returned)
    found = [arn for metric in metrics for arn in _of_metric(metric, place)]
    found += _of_names(alarm.contributor_attributes, _LABELS, place)
    for group in alarm.log_groups:
        found += _of_group(group, place)
    if alarm.kind is Kind.ALERT:
        found += _of_names(alarm.labels, _LABELS, place)
    else:
        tags = {name: one for name, one in alarm.labels.items() if fold(name) in _MEANT}
        found += _of_names(tags, (), place)
    return tuple(dict.fromkeys(found))[:MOST]


def _of_metric(metric: Metric, place: Place | None) -> list[str]:
    rows = _BY_NAMESPACE.get(metric.namespace, _OF_ANYBODY)
    return _of_names(metric.dimensions, rows, place)


def _of_names(names: Mapping[str, str], rows: Iterable[Row], place: Place | None) -> list[str]:
    """ARNs that stand there, then those of what is named; each name counts once."""
    found = [value for value in names.values() if is_arn(value)]
    values = {fold(name): value for name, value in reversed(list(names.items()))}
    for row in rows:
        resource = row.resource_of(values)
        if not resource:
            continue
        for name in row.dimensions:
            values.pop(fold(name))
        if row.service == "logs":
            found += _of_group(resource.removeprefix("log-group:"), place)
        elif place:
            found.append(_arn(place, row.service, resource))
    return found


def _of_group(group: str, place: Place | None) -> Iterator[str]:
    """A log group, after what writes to it."""
    if is_arn(group):
        parts = group.split(":", 6)
        place = Place(parts[1], parts[3], parts[4])
        group = parts[6].removesuffix(":*") if parts[5] == "log-group" else ""
    if not place or not valid_group(group):
        return
    writer = writer_of(group)
    if writer:
        yield _arn(place, *writer)
    yield _arn(place, "logs", f"log-group:{group}")


def _arn(place: Place, service: str, resource: str) -> str:
    region = "" if service in _WITHOUT_REGION else place.region
    account = "" if service in _WITHOUT_ACCOUNT else place.account
    return f"arn:{place.partition}:{service}:{region}:{account}:{resource}"
