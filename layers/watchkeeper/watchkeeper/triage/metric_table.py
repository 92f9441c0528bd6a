"""Which metrics tell most about a resource, and by which dimensions they are its own. Pure.

Per service the first are the most telling: when not all can be asked for, the last are left out.
A load or a level is averaged; latency is asked as its slow tenth, because an average hides it; what
must not run out at its least; counts as sums. The names are those of the services' own pages, such
as https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchkeeper.triage.metric_model import MetricName

SUM, AVERAGE, HIGHEST, LOWEST, SLOW = "Sum", "Average", "Maximum", "Minimum", "p90"


@dataclass(frozen=True, slots=True)
class Known:
    """One of the well-known metrics of a kind of resource."""

    namespace: str
    name: str
    stat: str
    is_rare: bool = False
    """It has points only when something happens: none is what is usual."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Resources whose metrics have dimensions of the same names."""

    pattern: re.Pattern[str]
    """Of what follows the account in an ARN, with the service before it; its groups are the values
    of the dimensions.
    """
    dimensions: tuple[str, ...]
    known: tuple[Known, ...]
    asked_unlisted: bool = True
    """Its metrics have no other dimensions, so that they can be asked for by those alone."""


def _all(namespace: str, **names: str) -> tuple[Known, ...]:
    """Names by statistic, separated by blanks; with a `?` at the end, of rare ones."""
    return tuple(
        Known(namespace, name.rstrip("?"), STATS[stat], name.endswith("?"))
        for stat, listed in names.items()
        for name in listed.split()
    )


STATS = {
    "sums": SUM, "levels": AVERAGE, "peaks": HIGHEST, "least": LOWEST, "slow": SLOW,
    "more_sums": SUM, "more_levels": AVERAGE, "more_least": LOWEST,
}  # fmt: skip
_RDS = _all(
    "AWS/RDS",
    levels="CPUUtilization DatabaseConnections DiskQueueDepth ReadLatency WriteLatency",
    least="FreeStorageSpace FreeableMemory BurstBalance CPUCreditBalance",
    peaks="ReplicaLag AuroraReplicaLag SwapUsage",
    more_levels="WriteIOPS ReadIOPS CommitLatency TransactionLogsGeneration DBLoad Deadlocks"
    " NetworkTransmitThroughput NetworkReceiveThroughput WriteThroughput ReadThroughput",
    more_least="EBSIOBalance% EBSByteBalance% FreeLocalStorage",
)
_ALB = _all(
    "AWS/ApplicationELB",
    sums="HTTPCode_Target_5XX_Count? HTTPCode_ELB_5XX_Count? RequestCount",
    slow="TargetResponseTime",
    peaks="UnHealthyHostCount",
    least="HealthyHostCount",
    more_sums="TargetConnectionErrorCount? RejectedConnectionCount? HTTPCode_Target_4XX_Count?"
    " HTTPCode_ELB_4XX_Count? NewConnectionCount",
    levels="ActiveConnectionCount",
)
_NLB = _all(
    "AWS/NetworkELB",
    peaks="UnHealthyHostCount",
    least="HealthyHostCount",
    levels="ActiveFlowCount",
    sums="NewFlowCount ProcessedBytes TCP_Target_Reset_Count TCP_ELB_Reset_Count"
    " PortAllocationErrorCount?",
)
_ECS = (
    *_all("AWS/ECS", levels="CPUUtilization MemoryUtilization"),
    *_all("ECS/ContainerInsights", least="RunningTaskCount", peaks="PendingTaskCount"),
)
_CACHE = _all(
    "AWS/ElastiCache",
    levels="EngineCPUUtilization CPUUtilization DatabaseMemoryUsagePercentage CurrConnections",
    sums="Evictions CacheMisses CacheHits",
    peaks="ReplicationLag SwapUsage",
    least="FreeableMemory",
    more_levels="NewConnections",
)


def _kind(
    pattern: str, dimensions: str, known: tuple[Known, ...], *, asked_unlisted: bool = True
) -> Kind:
    return Kind(re.compile(pattern), tuple(dimensions.split()), known, asked_unlisted)


KINDS = (
    _kind(
        r"ec2:instance/(i-\w+)", "InstanceId",
        _all(
            "AWS/EC2", levels="CPUUtilization", peaks="StatusCheckFailed",
            least="CPUCreditBalance EBSIOBalance% EBSByteBalance%",
            more_levels="NetworkIn NetworkOut EBSReadOps EBSWriteOps EBSWriteBytes EBSReadBytes",
        ),
    ),
    _kind(
        r"ec2:volume/(vol-\w+)", "VolumeId",
        _all(
            "AWS/EBS", levels="VolumeQueueLength", least="BurstBalance",
            sums="VolumeReadOps VolumeWriteOps VolumeTotalReadTime VolumeTotalWriteTime",
            peaks="VolumeStalledIOCheck VolumeIOPSExceededCheck VolumeThroughputExceededCheck",
            more_sums="VolumeIdleTime",
        ),
    ),
    _kind(
        r"ec2:natgateway/(nat-\w+)", "NatGatewayId",
        _all(
            "AWS/NATGateway", sums="ErrorPortAllocation PacketsDropCount",
            peaks="ActiveConnectionCount",
            more_sums="ConnectionAttemptCount ConnectionEstablishedCount BytesOutToDestination"
            " IdleTimeoutCount",
        ),
    ),
    _kind(r"rds:db:([^:]+)", "DBInstanceIdentifier", _RDS),
    _kind(r"rds:cluster:([^:]+)", "DBClusterIdentifier", _RDS),
    _kind(
        r"lambda:function:([^:]+)(?::.*)?", "FunctionName",
        _all(
            "AWS/Lambda", sums="Errors Throttles Invocations", slow="Duration",
            peaks="ConcurrentExecutions IteratorAge? AsyncEventAge?",
            more_sums="DeadLetterErrors? DestinationDeliveryFailures? AsyncEventsDropped?",
        ),
    ),
    _kind(
        r"dynamodb:table/([^/]+)(?:/.*)?", "TableName",
        _all(
            "AWS/DynamoDB", sums="ReadThrottleEvents? WriteThrottleEvents? SystemErrors?"
            " ThrottledRequests?", levels="SuccessfulRequestLatency",
            more_sums="ConsumedReadCapacityUnits ConsumedWriteCapacityUnits"
            " ConditionalCheckFailedRequests? TransactionConflict? UserErrors?",
        ),
    ),
    _kind(
        r"sqs:([^:/]+)", "QueueName",
        _all(
            "AWS/SQS", peaks="ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesVisible"
            " ApproximateNumberOfMessagesNotVisible",
            sums="NumberOfMessagesSent NumberOfMessagesDeleted NumberOfMessagesReceived",
        ),
    ),
    _kind(
        r"sns:([^:/]+)(?::.*)?", "TopicName",
        _all(
            "AWS/SNS", sums="NumberOfNotificationsFailed NumberOfMessagesPublished"
            " NumberOfNotificationsDelivered NumberOfNotificationsFilteredOut?"
            " NumberOfNotificationsRedrivenToDlq?",
        ),
    ),
    _kind(r"elasticloadbalancing:loadbalancer/(app/[^/]+/\w+)", "LoadBalancer", _ALB),
    _kind(r"elasticloadbalancing:loadbalancer/(net/[^/]+/\w+)", "LoadBalancer", _NLB),
    _kind(
        r"elasticloadbalancing:loadbalancer/([^/]+)", "LoadBalancerName",
        _all(
            "AWS/ELB", sums="HTTPCode_Backend_5XX? HTTPCode_ELB_5XX? RequestCount", slow="Latency",
            peaks="UnHealthyHostCount SurgeQueueLength?", least="HealthyHostCount",
            more_sums="BackendConnectionErrors? SpilloverCount?",
        ),
    ),
    # Theirs have the load balancer as another dimension, which ListMetrics knows.
    _kind(
        r"elasticloadbalancing:(targetgroup/[^/]+/\w+)", "TargetGroup", (*_ALB, *_NLB),
        asked_unlisted=False,
    ),
    _kind(r"ecs:service/([^/]+)/([^/]+)", "ClusterName ServiceName", _ECS),
    _kind(
        r"ecs:cluster/([^/]+)", "ClusterName",
        _all("AWS/ECS", levels="CPUUtilization MemoryUtilization CPUReservation MemoryReservation"),
    ),
    # Only of buckets whose requests are counted, by a filter with a name of its own.
    _kind(
        r"s3:([^/]+)(?:/.*)?", "BucketName",
        _all(
            "AWS/S3", sums="5xxErrors 4xxErrors AllRequests", slow="FirstByteLatency"
            " TotalRequestLatency", more_sums="GetRequests PutRequests BytesUploaded",
        ),
        asked_unlisted=False,
    ),
    _kind(
        r"apigateway:/apis/(\w+)(?:/.*)?", "ApiId",
        _all("AWS/ApiGateway", sums="5xx 4xx Count", slow="Latency IntegrationLatency"),
    ),
    _kind(r"elasticache:cluster:([^:]+)", "CacheClusterId", _CACHE),
    _kind(
        r"elasticache:replicationgroup:([^:]+)", "ReplicationGroupId", _CACHE, asked_unlisted=False
    ),
    _kind(
        r"autoscaling:autoScalingGroup:[^:]*:autoScalingGroupName/(.+)", "AutoScalingGroupName",
        (
            *_all("AWS/EC2", levels="CPUUtilization", peaks="StatusCheckFailed"),
            *_all(
                "AWS/AutoScaling", least="GroupInServiceInstances", peaks="GroupDesiredCapacity"
                " GroupTerminatingInstances GroupPendingInstances",
            ),
        ),
    ),
    _kind(
        r"kinesis:stream/([^/]+)(?:/.*)?", "StreamName",
        _all(
            "AWS/Kinesis", peaks="GetRecords.IteratorAgeMilliseconds",
            sums="WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded"
            " IncomingRecords IncomingBytes", levels="PutRecord.Success PutRecords.Success",
        ),
    ),
    _kind(
        r"firehose:deliverystream/(.+)", "DeliveryStreamName",
        _all(
            "AWS/Firehose", levels="DeliveryToS3.Success", peaks="DeliveryToS3.DataFreshness",
            sums="IncomingRecords ThrottledRecords",
        ),
    ),
    _kind(
        r"events:rule/(?:[^/]+/)?([^/]+)", "RuleName",
        _all(
            "AWS/Events", sums="FailedInvocations? ThrottledRules? Invocations? TriggeredRules?"
            " InvocationsSentToDlq?",
        ),
    ),
    _kind(
        r"elasticfilesystem:file-system/(fs-\w+)", "FileSystemId",
        _all(
            "AWS/EFS", levels="PercentIOLimit", least="BurstCreditBalance",
            sums="ClientConnections TotalIOBytes",
        ),
    ),
)  # fmt: skip
"""Of an ARN that several fit, the first counts."""
MACHINE = _kind(
    r"states:stateMachine:[^:]+", "StateMachineArn",
    _all(
        "AWS/States", sums="ExecutionsFailed? ExecutionsTimedOut? ExecutionThrottled?"
        " ExecutionsAborted? ExecutionsStarted?", slow="ExecutionTime",
    ),
)  # fmt: skip
"""Its dimension is the whole ARN."""


@dataclass(frozen=True, slots=True)
class Identity:
    """By what the metrics of a resource are known."""

    arn: str
    dimensions: Mapping[str, str]
    kind: Kind

    def is_of(self, metric: MetricName) -> bool:
        return self.dimensions.items() <= dict(metric.dimensions).items()

    def well_known(self, metrics: "list[MetricName]") -> "list[tuple[Known, MetricName]]":
        """Those to ask for, of what is listed: each with the fewest dimensions that it has."""
        found = []
        for known in self.kind.known:
            named = [one for one in metrics if (one.namespace, one.name) == _key(known)]
            best: Callable[[MetricName], tuple[int, object]] = lambda one: (  # noqa: E731 (a key)
                len(one.dimensions),
                one.dimensions,
            )
            if named:
                found.append((known, min(named, key=best)))
            elif self.kind.asked_unlisted:
                own = MetricName.of(known.namespace, known.name, self.dimensions)
                found.append((known, own))
        return found

    def others(self, metrics: "list[MetricName]") -> "list[MetricName]":
        """What is listed and not well-known: the operator's, and the CloudWatch agent's."""
        names = {_key(known) for known in self.kind.known}
        return [one for one in metrics if (one.namespace, one.name) not in names]


def _key(known: Known) -> tuple[str, str]:
    return (known.namespace, known.name)


def identity(arn: str) -> Identity | None:
    """None where it is not known which metrics are a resource's own."""
    parts = arn.split(":", 5)
    if len(parts) != 6:  # noqa: PLR2004 (the parts of every ARN)
        return None
    told = f"{parts[2]}:{parts[5]}"
    if MACHINE.pattern.fullmatch(told):
        return Identity(arn, {MACHINE.dimensions[0]: arn}, MACHINE)
    for kind in KINDS:
        fits = kind.pattern.fullmatch(told)
        if fits:
            return Identity(arn, dict(zip(kind.dimensions, fits.groups(), strict=True)), kind)
    return None
