"""Each thing that AWS can answer, and what it means to us."""

import pytest
from botocore import exceptions as botocore
from botocore.exceptions import ClientError

from watchkeeper.aws.errors import (
    AlreadyThere,
    AwsError,
    Busy,
    Denied,
    NotThere,
    OverQuota,
    Refused,
    Throttled,
    Unclear,
    translated,
)


def answer(code: str, status: int = 400, *reasons: str) -> AwsError:
    response = {
        "Error": {"Code": code, "Message": "because"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    with pytest.raises(AwsError) as caught, translated("ec2:CreateSnapshot"):
        raise ClientError(response, "CreateSnapshot")  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        # EC2
        ("RequestLimitExceeded", 503, Throttled),
        ("SnapshotCreationPerVolumeRateExceeded", 400, Throttled),
        ("ConcurrentSnapshotLimitExceeded", 400, OverQuota),
        ("SnapshotLimitExceeded", 400, OverQuota),
        ("InvalidVolume.NotFound", 400, NotThere),
        ("InvalidSnapshot.NotFound", 400, NotThere),
        ("InvalidInstanceID.NotFound", 400, NotThere),
        ("InvalidSnapshot.InUse", 400, Refused),
        ("IncorrectState", 400, Refused),
        ("UnauthorizedOperation", 403, Denied),
        ("InternalError", 500, Unclear),
        ("Unavailable", 503, Unclear),
        ("ServiceUnavailable", 503, Unclear),
        ("InternalFailure", 500, Unclear),
        # DynamoDB
        ("ConditionalCheckFailedException", 400, AlreadyThere),
        ("ProvisionedThroughputExceededException", 400, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("RequestLimitExceeded", 400, Throttled),
        ("TransactionInProgressException", 400, Throttled),
        ("ResourceNotFoundException", 400, NotThere),
        ("ValidationException", 400, Refused),
        ("AccessDeniedException", 400, Denied),
        ("InternalServerError", 500, Unclear),
        # SNS
        ("AuthorizationError", 403, Denied),
        ("KMSAccessDenied", 400, Denied),
        ("NotFound", 404, NotThere),
        ("InvalidParameter", 400, Refused),
        # Systems Manager, Lambda, S3, RDS
        ("SnapshotQuotaExceeded", 400, OverQuota),
        ("PreconditionFailed", 412, AlreadyThere),
        ("ConditionalRequestConflict", 409, Throttled),
        ("ParameterNotFound", 400, NotThere),
        ("ParameterAlreadyExists", 400, AlreadyThere),
        ("TooManyRequestsException", 429, Throttled),
        ("NoSuchKey", 404, NotThere),
        ("SlowDown", 503, Throttled),
        ("DBSnapshotAlreadyExists", 400, AlreadyThere),
        ("DBInstanceNotFoundFault", 404, NotThere),
        # Credentials
        ("ExpiredToken", 400, Denied),
        ("UnrecognizedClientException", 400, Denied),
    ],
)
def test_each_code_has_its_class(code: str, status: int, kind: type[AwsError]) -> None:
    error = answer(code, status)
    assert type(error) is kind
    assert (error.call, error.code, error.message) == ("ec2:CreateSnapshot", code, "because")
    assert str(error) == f"ec2:CreateSnapshot answered {code}: because"
    assert error.service == "EC2"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TransactionConflictException", 400),  # a single write met a transaction of a twin's
        ("Throttled", 429),  # SNS
        ("KMSThrottling", 400),  # SNS, whose topics are encrypted
        ("RequestThrottledException", 400),  # EBS
        ("EC2ThrottledException", 400),  # Lambda
        ("SomethingNewException", 429),  # HTTP's own word for it
    ],
)
def test_what_passes_by_itself_is_waited_for(code: str, status: int) -> None:
    assert isinstance(answer(code, status), Busy)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("code", ["500", "Unknown", "BadGateway", "GatewayTimeout", ""])
def test_a_server_fault_may_have_done_what_was_asked(status: int, code: str) -> None:
    assert type(answer(code, status)) is Unclear


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (["None", "ConditionalCheckFailed"], AlreadyThere),
        (["TransactionConflict", "ConditionalCheckFailed"], AlreadyThere),
        (["None", "TransactionConflict"], Throttled),
        (["ThrottlingError", "None"], Throttled),
        (["ValidationError", "None"], Refused),
        (["ItemCollectionSizeLimitExceeded"], Refused),
        (["ProvisionedThroughputExceeded", "None"], Throttled),
    ],
)
def test_a_cancelled_transaction_says_why(reasons: list[str], kind: type[AwsError]) -> None:
    assert type(answer("TransactionCanceledException", 400, *reasons)) is kind


@pytest.mark.parametrize(
    "error",
    [
        botocore.EndpointConnectionError(endpoint_url="https://ec2"),
        botocore.ConnectionClosedError(endpoint_url="https://ec2"),
        botocore.ConnectTimeoutError(endpoint_url="https://ec2"),
        botocore.ReadTimeoutError(endpoint_url="https://ec2"),
        botocore.SSLError(endpoint_url="https://ec2", error=OSError("reset")),
        botocore.ProxyConnectionError(proxy_url="https://proxy"),
        botocore.HTTPClientError(error="reset"),
        botocore.ResponseStreamingError(error="reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_at_all_is_unclear(error: Exception) -> None:
    with pytest.raises(Unclear) as caught, translated("ec2:CreateSnapshot"):
        raise error
    assert caught.value.code == type(error).__name__
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        botocore.ParamValidationError(report="no such parameter"),
        botocore.NoCredentialsError(),
        TypeError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_our_own_mistakes_are_not_aws_answers(error: Exception) -> None:
    with pytest.raises(type(error)), translated("ec2:CreateSnapshot"):
        raise error
