"""State, evidence, topics and queues: encrypted, private, hard to lose."""

import pytest

from tests.template.stack import Data, Stack, refuses_plain_text

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
    for queue in queues.values():
        assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


def test_only_our_rules_and_our_topic_may_leave_events_and_only_undelivered_ones(
    stack: Stack,
) -> None:
    unhandled = stack.properties("UnhandledQueuesPolicy")["PolicyDocument"]["Statement"]
    assert [statement["Effect"] for statement in unhandled] == ["Deny"]
    undelivered = stack.properties("UndeliveredQueuesPolicy")["PolicyDocument"]["Statement"]
    senders = {
        statement["Principal"]["Service"]: statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        for statement in undelivered
        if statement["Effect"] == "Allow"
    }
    assert senders == {
        "events.amazonaws.com": [stack.arn(rule) for rule in stack.of_type("AWS::Events::Rule")],
        "sns.amazonaws.com": stack.ref("NewsTopic"),
    }
