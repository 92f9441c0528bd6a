"""What AWS can answer instead of what we asked for: the few things that change what we do next.

    AwsError
    ├── NotThere      it does not exist (any more, or not yet: Describe lags behind Create)
    ├── AlreadyThere  it exists already, or somebody else changed it first
    ├── Busy          try again later
    │   ├── Throttled     AWS did nothing: too many requests, or too soon
    │   └── Unclear       no answer, or a server fault: it may have happened
    └── Refused       asking again will not help
        ├── Denied        the role lacks a permission
        └── OverQuota     an account limit is reached

Only the adapters beside this file catch botocore's exceptions, and only through `translated`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from watchkeeper.quoting import quoted


class AwsError(Exception):
    """`call` is the API call that was answered (`ec2:CreateSnapshot`), `code` AWS's word."""

    def __init__(self, call: str, code: str, message: str) -> None:
        super().__init__(f"{call} answered {code}: {message}")
        self.call = call
        self.code = code
        self.message = message

    @property
    def service(self) -> str:
        return self.call.split(":", 1)[0].upper()

    @property
    def quoted(self) -> str:
        """For people: what AWS writes may hold what anybody wrote."""
        return f"{self.call} answered {self.code}: {quoted(self.message)}"


class NotThere(AwsError): ...


class AlreadyThere(AwsError): ...


class Busy(AwsError): ...


class Throttled(Busy): ...


class Unclear(Busy): ...


class Refused(AwsError): ...


class Denied(Refused): ...


class OverQuota(Refused): ...


THROTTLES = frozenset({
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException",
    "TooManyRequestsException", "ProvisionedThroughputExceededException", "SlowDown",
    "PriorRequestNotComplete", "TransactionInProgressException", "Throttled", "KMSThrottling",
    "RequestThrottledException", "EC2ThrottledException",
    # A single write met somebody's transaction on the same item.
    "TransactionConflictException",
    # EBS takes one snapshot per volume in 15 s.
    "SnapshotCreationPerVolumeRateExceeded",
    # Two conditional writes of one S3 object met.
    "ConditionalRequestConflict",
    # Two calls of the Parameter Store met at one parameter.
    "TooManyUpdates",
})  # fmt: skip
DENIALS = frozenset({
    "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError",
    "AuthorizationErrorException", "KMSAccessDenied", "KMSAccessDeniedException",
    "NotAuthorizedException", "UnrecognizedClientException", "ExpiredToken",
    "ExpiredTokenException", "AuthFailure",
})  # fmt: skip
QUOTAS = frozenset({
    "SnapshotLimitExceeded", "ResourceLimitExceeded", "LimitExceededException",
    "ServiceQuotaExceededException", "SnapshotQuotaExceeded",
    # Five unfinished snapshots of one volume, and failed ones count until they are deleted: waiting
    # for that would hold up every other volume.
    "ConcurrentSnapshotLimitExceeded",
    # What a restore makes counts as well.
    "DBClusterQuotaExceededFault", "InstanceLimitExceeded", "InstanceQuotaExceeded",
    "StorageQuotaExceeded", "VcpuLimitExceeded", "VolumeLimitExceeded",
})  # fmt: skip
TAKEN = frozenset({"ConditionalCheckFailedException", "PreconditionFailed"})
BY_CODE: tuple[tuple[frozenset[str], type[AwsError]], ...] = (
    (THROTTLES, Throttled),
    (DENIALS, Denied),
    (QUOTAS, OverQuota),
    (TAKEN, AlreadyThere),
)
BY_ENDING: tuple[tuple[tuple[str, ...], type[AwsError]], ...] = (
    (("AlreadyExists", "AlreadyExistsFault", "AlreadyExistsException"), AlreadyThere),
    (("NotFound", "NotFoundFault", "NotFoundException", "NoSuchKey"), NotThere),
)
CANCELLED = "TransactionCanceledException"
"""DynamoDB answers a transaction that was not done with this code and a reason per item."""
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons for that which pass by themselves."""
TOO_MANY_REQUESTS = 429
"""HTTP's own word for throttling."""
SERVER_FAULT = 500
"""HTTP: from here on it is the server's fault, and what it has done is unknown."""


def _class_of(code: str, status: int, reasons: frozenset[str]) -> type[AwsError]:
    if code == CANCELLED:
        return _class_of_cancelled(reasons)
    for codes, kind in BY_CODE:
        if code in codes:
            return kind
    for endings, kind in BY_ENDING:
        if code.endswith(endings):
            return kind
    if status == TOO_MANY_REQUESTS:
        return Throttled
    return Unclear if status >= SERVER_FAULT else Refused


def _class_of_cancelled(reasons: frozenset[str]) -> type[AwsError]:
    """A condition of ours that failed comes first; a conflict with another transaction passes."""
    if "ConditionalCheckFailed" in reasons:
        return AlreadyThere
    return Throttled if reasons & PASSING else Refused


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Raise one of this module's errors in place of botocore's; `call` names the API call."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        message = error.response.get("Error", {}).get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        cancelled = error.response.get("CancellationReasons", [])
        reasons = frozenset(reason.get("Code", "None") for reason in cancelled)
        raise _class_of(code, status, reasons)(call, code, message) from error
    except (HTTPClientError, NoConnection) as error:
        # Connection refused, reset or timed out: the request may have arrived.
        raise Unclear(call, type(error).__name__, str(error)) from error
