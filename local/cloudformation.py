"""What moto's CloudFormation lacks: resource types that it ignores, and properties that it drops.

moto finds resource types among the direct subclasses of CloudFormationModel, so each class here is
one. Everything is created through moto's own backends, so the APIs show it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.cloudformation.models import cloudformation_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local import cloudformation_network as network
from local.cloudformation_created import Created
from local.mischief import NotInTheBox

if TYPE_CHECKING:
    from local.cloud import Cloud


class AlarmResource(Created, CloudFormationModel):
    """AWS::CloudWatch::Alarm."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that holds the name."""
        return "AlarmName"

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> AlarmResource:
        """Put the alarm."""
        properties = cloudformation_json["Properties"]
        if "Metrics" in properties:
            raise NotInTheBox(f"alarm {resource_name}: metric math")
        datapoints = properties.get("DatapointsToAlarm")
        alarm = cloudwatch_backends[account_id][region_name].put_metric_alarm(
            name=resource_name,
            namespace=properties["Namespace"],
            metric_name=properties["MetricName"],
            comparison_operator=properties["ComparisonOperator"],
            evaluation_periods=int(properties["EvaluationPeriods"]),
            period=int(properties["Period"]),
            threshold=float(properties["Threshold"]),
            statistic=properties.get("Statistic"),
            extended_statistic=properties.get("ExtendedStatistic"),
            description=properties.get("AlarmDescription", ""),
            dimensions=properties.get("Dimensions", []),
            alarm_actions=properties.get("AlarmActions", []),
            ok_actions=properties.get("OKActions", []),
            insufficient_data_actions=properties.get("InsufficientDataActions", []),
            datapoints_to_alarm=int(datapoints) if datapoints else None,
            actions_enabled=str(properties.get("ActionsEnabled", True)).lower() == "true",
            treat_missing_data=properties.get("TreatMissingData"),
            unit=properties.get("Unit"),
        )
        return cls(resource_name, Arn=alarm.alarm_arn)


class ScheduleResource(Created, CloudFormationModel):
    """AWS::Scheduler::Schedule."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that holds the name."""
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> ScheduleResource:
        """Create the schedule."""
        properties = cloudformation_json["Properties"]
        schedule = scheduler_backends[account_id][region_name].create_schedule(
            name=resource_name,
            description=properties.get("Description"),
            group_name=properties.get("GroupName", "default"),
            schedule_expression=properties["ScheduleExpression"],
            schedule_expression_timezone=properties.get("ScheduleExpressionTimezone"),
            flexible_time_window=properties["FlexibleTimeWindow"],
            target=properties["Target"],
            state=properties.get("State"),
            kms_key_arn=properties.get("KmsKeyArn"),
            start_date=properties.get("StartDate"),
            end_date=properties.get("EndDate"),
            action_after_completion=None,
        )
        return cls(resource_name, Arn=schedule.arn)


class SubscriptionResource(Created, CloudFormationModel):
    """AWS::SNS::Subscription."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::SNS::Subscription"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003, moto's signature
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> SubscriptionResource:
        """Subscribe."""
        properties = cloudformation_json["Properties"]
        backend = sns_backends[account_id][region_name]
        subscription = backend.subscribe(
            properties["TopicArn"], properties["Endpoint"], properties["Protocol"]
        )
        # The scope first: moto checks the policy by it.
        for name in ("FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "RedrivePolicy"):
            if name in properties:
                value = properties[name]
                text = value if isinstance(value, str) else json.dumps(value)
                backend.set_subscription_attributes(subscription.arn, name, text)
        return cls(subscription.arn, Arn=subscription.arn)


class TopicPolicyResource(Created, CloudFormationModel):
    """AWS::SNS::TopicPolicy."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::SNS::TopicPolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> TopicPolicyResource:
        """Set the policy of each topic."""
        properties = cloudformation_json["Properties"]
        for topic_arn in properties["Topics"]:
            sns_backends[account_id][region_name].set_topic_attribute(
                topic_arn, "policy", json.dumps(properties["PolicyDocument"])
            )
        return cls(resource_name)


class QueuePolicyResource(Created, CloudFormationModel):
    """AWS::SQS::QueuePolicy."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> QueuePolicyResource:
        """Set the policy of each queue."""
        properties = cloudformation_json["Properties"]
        for url in properties["Queues"]:
            sqs_backends[account_id][region_name].set_queue_attributes(
                url.rpartition("/")[2], {"Policy": json.dumps(properties["PolicyDocument"])}
            )
        return cls(resource_name)


class BucketPolicyResource(Created, CloudFormationModel):
    """AWS::S3::BucketPolicy."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,  # noqa: ARG003, moto's signature
        **_: Any,
    ) -> BucketPolicyResource:
        """Set the policy of the bucket."""
        properties = cloudformation_json["Properties"]
        s3_backends[account_id]["aws"].put_bucket_policy(
            properties["Bucket"], json.dumps(properties["PolicyDocument"]).encode()
        )
        return cls(resource_name)


class EventInvokeConfigResource(Created, CloudFormationModel):
    """AWS::Lambda::EventInvokeConfig."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003, moto's signature
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> EventInvokeConfigResource:
        """Set retries and destinations."""
        properties = dict(cloudformation_json["Properties"])
        name = properties.pop("FunctionName")
        properties.pop("Qualifier", None)
        for number in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if number in properties:
                properties[number] = int(properties[number])
        lambda_backends[account_id][region_name].put_function_event_invoke_config(name, properties)
        return cls(f"{name}|$LATEST")


def create_stack(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Deploy the template of the box; what became of every resource, by logical id."""
    # moto remembers the types that it knew when it was first asked.
    for known in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        known.cache_clear()
    document = network.with_addresses(cloud.template, cloud.parameters)
    if ignored := sorted(
        {each["Type"] for each in document["Resources"].values()} - parsing.get_model_map().keys()
    ):
        raise NotInTheBox(
            f"CloudFormation of {', '.join(ignored)}; add them to local/cloudformation.py"
        )
    cloud.client("cloudformation").create_stack(
        StackName=cloud.stack_name,
        TemplateBody=json.dumps(document),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in cloud.parameters.items()
        ],
    )
    backend = cloudformation_backends[cloud.account_id][cloud.region]
    resource_map = backend.get_stack(cloud.stack_name).resource_map
    found: dict[str, dict[str, Any]] = {}
    for logical_id, resource in document["Resources"].items():
        created = resource_map[logical_id]
        if created is None:  # Its condition is false.
            continue
        properties = parsing.clean_json(deepcopy(resource.get("Properties", {})), resource_map)
        # Permissions have none in moto.
        physical_id = getattr(created, "physical_resource_id", logical_id)
        found[logical_id] = {
            "Type": resource["Type"],
            "Properties": properties,
            "PhysicalId": physical_id,
            "Attributes": _attributes(created),
        }
    complete(cloud, found)
    return found


def _attributes(created: Any) -> dict[str, str]:
    """What Fn::GetAtt gives, of the attributes that the box's own code may ask for."""
    if isinstance(created, Created):
        return created.attributes
    found = {}
    for name in ("Arn", "QueueName", "TopicName", "RoleId"):
        # What has no attributes of its own claims to have all.
        with suppress(UnformattedGetAttTemplateException):
            if hasattr(created, "get_cfn_attribute") and created.has_cfn_attr(name):
                found[name] = created.get_cfn_attribute(name)
    return found


def complete(cloud: Cloud, resources: dict[str, dict[str, Any]]) -> None:
    """Apply the properties that moto's own resource types drop."""
    for resource in resources.values():
        name, properties = resource["PhysicalId"], resource["Properties"]
        if resource["Type"] == "AWS::DynamoDB::Table":
            _complete_table(cloud, name, properties)
        elif resource["Type"] == "AWS::S3::Bucket":
            _complete_bucket(cloud, name, properties)
        elif resource["Type"] == "AWS::Lambda::Function":
            _complete_function(cloud, name, properties)
        elif resource["Type"] == "AWS::SNS::Topic":
            topic = sns_backends[cloud.account_id][cloud.region].get_topic(name)
            topic.kms_master_key_id = properties.get("KmsMasterKeyId", "")
            topic.display_name = properties.get("DisplayName", "")
        elif resource["Type"].startswith("AWS::EC2::"):
            network.complete(cloud, resource["Type"], name, properties)


def _complete_table(cloud: Cloud, name: str, properties: dict[str, Any]) -> None:
    backend = dynamodb_backends[cloud.account_id][cloud.region]
    if encryption := properties.get("SSESpecification"):
        # CloudFormation says SSEEnabled, the API and moto's table Enabled.
        given = backend.tables[name].sse_specification or {}
        given["Enabled"] = _true(encryption.get("SSEEnabled"))
    if lifetime := properties.get("TimeToLiveSpecification"):
        backend.update_time_to_live(
            name,
            {"AttributeName": lifetime["AttributeName"], "Enabled": _true(lifetime["Enabled"])},
        )
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        enabled = _true(recovery["PointInTimeRecoveryEnabled"])
        backend.update_continuous_backups(name, {"PointInTimeRecoveryEnabled": enabled})


def _complete_bucket(cloud: Cloud, name: str, properties: dict[str, Any]) -> None:
    backend = s3_backends[cloud.account_id]["aws"]
    if versioning := properties.get("VersioningConfiguration"):
        backend.put_bucket_versioning(name, versioning["Status"])
    if lock := properties.get("ObjectLockConfiguration"):
        retention = lock["Rule"]["DefaultRetention"]
        backend.get_bucket(name).object_lock_enabled = True
        backend.put_object_lock_configuration(
            name,
            lock_enabled=True,
            mode=retention["Mode"],
            days=int(retention["Days"]) if "Days" in retention else None,
            years=int(retention["Years"]) if "Years" in retention else None,
        )
    if block := properties.get("PublicAccessBlockConfiguration"):
        backend.put_public_access_block(
            name, {key: str(value).lower() for key, value in block.items()}
        )
    if ownership := properties.get("OwnershipControls"):
        rule = ownership["Rules"][0]["ObjectOwnership"]
        backend.put_bucket_ownership_controls(name, {"Rule": {"ObjectOwnership": rule}})
    if lifecycle := properties.get("LifecycleConfiguration"):
        cloud.client("s3").put_bucket_lifecycle_configuration(
            Bucket=name,
            LifecycleConfiguration={"Rules": [_lifecycle_rule(r) for r in lifecycle["Rules"]]},
        )


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule of CloudFormation as the S3 API wants it: the names differ."""
    given = dict(rule)
    converted: dict[str, Any] = {
        "ID": given.pop("Id", "rule"),
        "Status": given.pop("Status"),
        "Filter": {"Prefix": given.pop("Prefix", "")},
    }
    if "AbortIncompleteMultipartUpload" in given:
        days = given.pop("AbortIncompleteMultipartUpload")["DaysAfterInitiation"]
        converted["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    if "NoncurrentVersionExpiration" in given:
        days = given.pop("NoncurrentVersionExpiration")["NoncurrentDays"]
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    if "ExpirationInDays" in given:
        converted["Expiration"] = {"Days": int(given.pop("ExpirationInDays"))}
    if given:
        raise NotInTheBox(f"lifecycle rule with {', '.join(given)}")
    return converted


def _complete_function(cloud: Cloud, name: str, properties: dict[str, Any]) -> None:
    function = lambda_backends[cloud.account_id][cloud.region].get_function(name)
    function.architectures = properties.get("Architectures", ["x86_64"])
    function.tracing_config = properties.get("TracingConfig", {"Mode": "PassThrough"})
    function.layers = function._get_layers_data(properties.get("Layers", []))
    if "ReservedConcurrentExecutions" in properties:
        function.reserved_concurrency = int(properties["ReservedConcurrentExecutions"])


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
