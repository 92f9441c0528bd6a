"""State, evidence, topics and queues: encrypted, private, hard to lose."""

import json

import pytest

from tests.template.stack import Data, Stack, as_list, refuses_plain_text

RETAINED = {
    "Table",
    "EvidenceBucket",
    "EvidenceBucketPolicy",
    "TakeBackupsLog",
    "ExpireBackupsLog",
    "DrillRestoresLog",
    "RecoverResourcesLog",
    "SweepRunsLog",
    "TriageIncidentsLog",
    "IncidentsBucket",
    "IncidentsBucketPolicy",
}


def test_state_evidence_and_logs_outlive_the_stack(stack: Stack) -> None:
    kept = {
        logical_id
        for logical_id, resource in stack.resources.items()
        if resource.get("DeletionPolicy") == "Retain"
    }
    assert kept == RETAINED
    for logical_id in kept:
        assert stack.resources[logical_id]["UpdateReplacePolicy"] == "Retain"


# ── The table ────────────────────────────────────────────────────────────────────────────────────


def test_there_is_one_table_and_it_is_hard_to_lose(stack: Stack) -> None:
    assert list(stack.of_type("AWS::DynamoDB::Table")) == ["Table"]
    table = stack.properties("Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_table_and_its_indexes_have_the_keys_that_the_code_uses(stack: Stack) -> None:
    table = stack.properties("Table")
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert keys(table) == ("pk", "sk")
    assert {name: keys(index) for name, index in indexes.items()} == {
        "due": ("due", "wake_at"),
        "listing": ("listed_in", "sk"),
    }
    assert indexes["due"]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert indexes["listing"]["Projection"] == {"ProjectionType": "ALL"}
    assert {each["AttributeType"] for each in table["AttributeDefinitions"]} == {"S"}


def keys(described: Data) -> tuple[str, str]:
    """Names of the partition key and the sort key."""
    named = {key["KeyType"]: key["AttributeName"] for key in described["KeySchema"]}
    return named["HASH"], named["RANGE"]


# ── The evidence bucket ──────────────────────────────────────────────────────────────────────────


def test_evidence_is_versioned_encrypted_and_private(stack: Stack) -> None:
    bucket = stack.properties("EvidenceBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize(
    ("fixture", "mode", "days"), [("usual", "GOVERNANCE", "400"), ("different", "COMPLIANCE", "30")]
)
def test_evidence_is_locked_for_as_long_as_the_operator_says(
    request: pytest.FixtureRequest, fixture: str, mode: str, days: str
) -> None:
    bucket = request.getfixturevalue(fixture).properties("EvidenceBucket")
    assert bucket["ObjectLockEnabled"] is True
    lock = bucket["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    retention = lock["Rule"]["DefaultRetention"]
    assert retention["Mode"] == mode
    assert str(retention["Days"]) == days


def test_lifecycle_only_tidies_uploads_that_died(stack: Stack) -> None:
    (rule,) = stack.properties("EvidenceBucket")["LifecycleConfiguration"]["Rules"]
    assert rule.keys() == {"Id", "Status", "AbortIncompleteMultipartUpload"}
    assert rule["Status"] == "Enabled"


def test_evidence_is_reached_over_tls_only(stack: Stack) -> None:
    policy = stack.properties("EvidenceBucketPolicy")
    assert policy["Bucket"] == stack.ref("EvidenceBucket")
    (refusal,) = policy["PolicyDocument"]["Statement"]
    assert refuses_plain_text(policy["PolicyDocument"])
    assert refusal["Action"] == "s3:*"
    assert refusal["Resource"] == [stack.arn("EvidenceBucket"), f"{stack.arn('EvidenceBucket')}/*"]


# ── The bucket of incidents ──────────────────────────────────────────────────────────────────────


def test_reports_are_kept_like_evidence_but_for_the_lock(stack: Stack) -> None:
    """What is quoted from logs may have to be removed: docs/decisions/0015 says why."""
    reports, evidence = stack.properties("IncidentsBucket"), stack.properties("EvidenceBucket")
    for name in (
        "VersioningConfiguration",
        "BucketEncryption",
        "PublicAccessBlockConfiguration",
        "OwnershipControls",
    ):
        assert reports[name] == evidence[name]
    assert not {name for name in reports if "ObjectLock" in name}
    policy = stack.properties("IncidentsBucketPolicy")
    assert policy["Bucket"] == stack.ref("IncidentsBucket")
    assert refuses_plain_text(policy["PolicyDocument"])
    (refusal,) = policy["PolicyDocument"]["Statement"]
    bucket = stack.arn("IncidentsBucket")
    assert (refusal["Action"], refusal["Resource"]) == ("s3:*", [bucket, f"{bucket}/*"])


@pytest.mark.parametrize(("fixture", "days"), [("usual", "400"), ("different", "90")])
def test_reports_are_forgotten_when_the_operator_says(
    request: pytest.FixtureRequest, fixture: str, days: str
) -> None:
    bucket = request.getfixturevalue(fixture).properties("IncidentsBucket")
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert str(rule["ExpirationInDays"]) == days
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert not {"Prefix", "TagFilters"} & rule.keys()


# ── The ring of management events ────────────────────────────────────────────────────────────────


def test_only_the_rule_writes_into_the_ring_and_the_ring_forgets(stack: Stack) -> None:
    ring = stack.properties("TrailLog")
    assert ring == {"LogGroupName": "/aws/events/stack-trail", "RetentionInDays": 7}
    document = json.loads(stack.properties("TrailLogPolicy")["PolicyDocument"])
    opens, writes = document["Statement"]
    group = f"arn:aws:logs:us-east-1:123456789012:log-group:{stack.ref('TrailLog')}"
    for statement, action in ((opens, "logs:CreateLogStream"), (writes, "logs:PutLogEvents")):
        assert statement["Effect"] == "Allow"
        assert statement["Action"] == action
        assert statement["Resource"] == f"{group}:*"
        assert statement["Principal"] == {
            "Service": ["delivery.logs.amazonaws.com", "events.amazonaws.com"]
        }
    assert "Condition" not in opens
    assert writes["Condition"] == {"ArnEquals": {"aws:SourceArn": stack.arn("TrailRule")}}
    (target,) = stack.properties("TrailRule")["Targets"]
    assert target["Arn"] == group
    assert "RoleArn" not in target


# ── Topics and their key ─────────────────────────────────────────────────────────────────────────


def test_topics_are_encrypted_with_the_key_that_alarms_may_use(stack: Stack) -> None:
    topics = stack.of_type("AWS::SNS::Topic")
    assert topics.keys() == {"NewsTopic", "PagesTopic"}
    assert {topic["KmsMasterKeyId"] for topic in topics.values()} == {stack.ref("TopicsKey")}


def test_the_key_rotates_and_lets_only_alarms_of_this_account_use_it(stack: Stack) -> None:
    key = stack.properties("TopicsKey")
    assert key["EnableKeyRotation"] is True
    manage, alarms = key["KeyPolicy"]["Statement"]
    assert manage["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    # Without it nobody could ever change the policy again.
    assert "kms:PutKeyPolicy" in manage["Action"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


@pytest.mark.parametrize("topic", ["NewsTopic", "PagesTopic"])
def test_topics_are_published_to_over_tls_only(stack: Stack, topic: str) -> None:
    policy = stack.properties(f"{topic}Policy")
    assert policy["Topics"] == [stack.ref(topic)]
    assert refuses_plain_text(policy["PolicyDocument"])


def test_only_alarms_of_this_account_may_page_besides_our_own_roles(stack: Stack) -> None:
    statements = {
        topic: [
            statement
            for statement in stack.properties(f"{topic}Policy")["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Allow"
        ]
        for topic in ("NewsTopic", "PagesTopic")
    }
    assert statements["NewsTopic"] == []
    (alarms,) = statements["PagesTopic"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Action"] == "sns:Publish"
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_people_hear_every_page(different: Stack) -> None:
    """Alarm messages carry no attributes: any filter on PagesTopic would drop them."""
    for subscription in different.of_type("AWS::SNS::Subscription").values():
        if subscription["TopicArn"] == different.ref("PagesTopic"):
            assert "FilterPolicy" not in subscription


# ── Queues ───────────────────────────────────────────────────────────────────────────────────────


def test_queues_are_encrypted_keep_for_two_weeks_and_refuse_plain_text(stack: Stack) -> None:
    queues = stack.of_type("AWS::SQS::Queue")
    guarded = {
        queue
        for policy in stack.of_type("AWS::SQS::QueuePolicy").values()
        if refuses_plain_text(policy["PolicyDocument"])
        for queue in policy["Queues"]
    }
    assert guarded == {stack.ref(logical_id) for logical_id in queues}
    for name, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True
        if name != "AlarmsQueue":
            assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


def test_what_alarms_bring_is_handed_out_once_at_a_time_and_kept_when_it_fails(
    stack: Stack,
) -> None:
    queue = stack.properties("AlarmsQueue")
    # Undelivered keeps a message for what is left of two weeks since it was sent.
    assert queue["MessageRetentionPeriod"] < 14 * 24 * 3600
    assert queue["VisibilityTimeout"] > stack.functions["TriageIncidents"]["Timeout"]
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": stack.arn("TriageIncidentsUndelivered"),
        "maxReceiveCount": 5,
    }
    (mapping,) = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == stack.arn("AlarmsQueue")
    assert mapping["FunctionName"] == stack.ref("TriageIncidents")
    assert mapping["MaximumBatchingWindowInSeconds"] <= 2  # a first report is due within 30 s


def test_only_topics_of_this_account_may_bring_alarms(stack: Stack) -> None:
    policy = stack.properties("AlarmsQueuePolicy")
    assert policy["Queues"] == [stack.ref("AlarmsQueue")]
    (topics,) = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert topics["Principal"] == {"Service": "sns.amazonaws.com"}
    assert topics["Action"] == "sqs:SendMessage"
    assert topics["Condition"] == {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:*"}}


def test_only_our_rules_and_our_topic_may_leave_events_and_only_undelivered_ones(
    stack: Stack,
) -> None:
    unhandled = stack.properties("UnhandledQueuesPolicy")["PolicyDocument"]["Statement"]
    assert [statement["Effect"] for statement in unhandled] == ["Deny"]
    undelivered = stack.properties("UndeliveredQueuesPolicy")["PolicyDocument"]["Statement"]
    senders = {
        statement["Principal"]["Service"]: sorted(
            as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        )
        for statement in undelivered
        if statement["Effect"] == "Allow"
    }
    assert senders == {
        "events.amazonaws.com": sorted(map(stack.arn, stack.of_type("AWS::Events::Rule"))),
        "sns.amazonaws.com": [stack.ref("NewsTopic")],
    }
