"""Would IAM allow this call? The template's policies, evaluated against what a function calls.

An emulator that allows too much hides a missing permission until production. Here the policies of
the deployed template decide, as the *IAM User Guide* says that AWS does:

- "Policy evaluation logic": an explicit deny wins; otherwise one matching Allow is enough;
  otherwise denied. Every request of a call (see `local.iam_actions`) has to be allowed.
- "IAM JSON policy elements: Action": `*` and `?`, the case is ignored.
- "IAM JSON policy elements: Resource": `*` and `?`, the case counts. Wildcards stand for characters
  between two colons; only one at the end of a segment may reach beyond. Where that would matter,
  the answer is "cannot judge".
- "IAM JSON policy elements: Condition operators": all operators and all keys must hold, any value
  of a key is enough. A missing key fails a condition, passes a negated one (`...Not...`) and passes
  `...IfExists`.
- "Single-valued vs. multivalued context keys": ForAllValues is true when the key is missing,
  ForAnyValue is not.

What is not understood is never treated as allowed: NotAction, NotResource, Principal, policy
variables (`${...}`), other operators and condition keys, permissions boundaries, unknown managed
policies. Not looked at: policies of resources (topics, queues, buckets, keys) and of the
organization. What they allow is not needed, what they deny is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Literal

from botocore.exceptions import ClientError

from local.iam_actions import requests_of
from local.iam_requests import (
    KNOWN_KEYS,
    KNOWN_PREFIXES,
    MULTIVALUED_KEYS,
    RESOURCE_TAGS,
    Account,
    CannotJudge,
    Params,
    Request,
    cannot_tell,
)
from local.iam_template import (
    Resolve,
    Resolver,
    Template,
    customer_keys,
    function_role,
    offline_resolver,
    partition_keys,
    policy_documents,
)
from local.mischief import client_error

TagsOf = Callable[[str], Mapping[str, str] | None]

ARN_PARTS = 6  # arn:partition:service:region:account:resource
# Before 2012-10-17 a policy had no variables; none are understood here, so the two mean the same.
VERSIONS = frozenset({"2012-10-17", "2008-10-17"})
STATEMENT_ELEMENTS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})


@dataclass(frozen=True)
class Condition:
    """One operator on one key, e.g. ForAllValues:StringLikeIfExists on aws:TagKeys."""

    quantifier: str
    """ForAllValues, ForAnyValue, or empty."""
    operator: str
    if_exists: bool
    key: str
    """In lower case."""
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, its intrinsic functions resolved."""

    policy: str
    sid: str
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return f"{self.effect} {self.sid or '(no Sid)'} of {self.policy}"


@dataclass(frozen=True)
class Verdict:
    """The answer to one request, and why."""

    outcome: Literal["allowed", "denied", "cannot-judge"]
    why: str
    statement: Statement | None = None
    """The statement that decided; None when no statement matched."""


# Reading policies


def role_statements(template: Template, role_logical_id: str, resolve: Resolve) -> list[Statement]:
    """Every statement of a role's policies; raises CannotJudge when one is not understood."""
    return [
        statement
        for name, document in policy_documents(template, role_logical_id, resolve)
        for statement in policy_statements(name, document)
    ]


def granted_actions(template: Template, function_logical_id: str) -> set[str]:
    """The actions that a function's role is allowed, as its policies write them (`sqs:Send*`)."""
    role = function_role(template, function_logical_id)
    statements = role_statements(template, role, offline_resolver(template))
    return {action for each in statements if each.effect == "Allow" for action in each.actions}


def policy_statements(policy: str, document: Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of one resolved policy document."""
    version = str(document.get("Version", "2008-10-17"))
    if version not in VERSIONS:
        raise CannotJudge(f"{policy}: policy version {version}")
    for written in _listed(document["Statement"]):
        where = f"{policy}, statement {written.get('Sid', '(no Sid)')}"
        strange = sorted(set(written) - STATEMENT_ELEMENTS)
        if strange or written.get("Effect") not in {"Allow", "Deny"}:
            raise CannotJudge(f"{where}: {', '.join(strange) or 'its Effect'} is not understood")
        conditions = written.get("Condition", {}).items()
        yield Statement(
            policy=policy,
            sid=written.get("Sid", ""),
            effect=written["Effect"],
            actions=_patterns(written, "Action", ACTION_PATTERN, where),
            resources=_patterns(written, "Resource", RESOURCE_PATTERN, where),
            conditions=tuple(
                _condition(operator, key, values, where)
                for operator, tests in conditions
                for key, values in tests.items()
            ),
        )


ACTION_PATTERN = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+")
RESOURCE_PATTERN = re.compile(r"\*|arn:.+")
CONDITION_OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")


def _patterns(
    written: Mapping[str, Any], element: str, valid: re.Pattern[str], where: str
) -> tuple[str, ...]:
    patterns = _listed(written.get(element, []))
    for each in patterns:
        if not isinstance(each, str) or not valid.fullmatch(each) or "${" in each:
            raise CannotJudge(f"{where}: {element} {each!r} is not understood")
    if not patterns:
        raise CannotJudge(f"{where}: it has no {element}")
    return tuple(patterns)


def _condition(operator: str, key: str, values: Any, where: str) -> Condition:
    where = f"{where}, {operator} on {key}"
    found = CONDITION_OPERATOR.fullmatch(operator)
    quantifier, name, if_exists = found.groups() if found else (None, operator, None)
    if name not in OPERATORS and (name != "Null" or quantifier or if_exists):
        raise CannotJudge(f"{where}: this operator is not understood")
    lowered = key.lower()
    if lowered not in KNOWN_KEYS and not lowered.startswith(KNOWN_PREFIXES):
        raise CannotJudge(f"{where}: this condition key is not understood")
    if lowered in MULTIVALUED_KEYS and not quantifier and name != "Null":
        raise CannotJudge(f"{where}: a key with several values needs ForAllValues or ForAnyValue")
    texts = tuple(_text(each, where) for each in _listed(values))
    if not texts or (name == "Null" and texts not in {("true",), ("false",)}):
        raise CannotJudge(f"{where}: the values {texts!r} are not understood")
    if name.startswith("Arn") and any(len(each.split(":")) < ARN_PARTS for each in texts):
        raise CannotJudge(f"{where}: a value is not a whole ARN")
    return Condition(quantifier or "", name, bool(if_exists), lowered, texts)


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or "${" in str(value):
        raise CannotJudge(f"{where}: the value {value!r} is not understood")
    return str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


# Matching

Test = Callable[[str, str], bool]


def arn_matches(pattern: str, arn: str) -> bool:
    """Whether the Resource element `pattern` covers `arn`; the case counts."""
    if not _glob(pattern).fullmatch(arn):
        return False
    if pattern == "*" or _glob(pattern, within_segments=True).fullmatch(arn):
        return True
    raise CannotJudge(f"whether {pattern} covers {arn}: a wildcard would have to stand for a colon")


def action_matches(pattern: str, action: str) -> bool:
    """Whether the Action element `pattern` covers `action`; the case is ignored."""
    return bool(_glob(pattern.lower()).fullmatch(action.lower()))


@cache
def _glob(pattern: str, *, within_segments: bool = False) -> re.Pattern[str]:
    """`within_segments` keeps wildcards between colons, except for a `*` at the very end."""
    star, one = ("[^:]*", "[^:]") if within_segments else (".*", ".")
    body = re.escape(pattern).replace(r"\*", star).replace(r"\?", one)
    if within_segments and pattern.endswith("*"):
        body = body.removesuffix(star) + ".*"
    return re.compile(body, re.DOTALL)


def _like(pattern: str, value: str) -> bool:
    return bool(_glob(pattern).fullmatch(value))


def _arn_like(pattern: str, value: str) -> bool:
    """The six components of an ARN are compared one by one."""
    wanted, parts = pattern.split(":", ARN_PARTS - 1), value.split(":", ARN_PARTS - 1)
    return len(parts) == ARN_PARTS and all(map(_like, wanted, parts))


def _numeric(compare: Callable[[float, float], bool]) -> Test:
    def test(pattern: str, value: str) -> bool:
        try:
            return compare(float(value), float(pattern))
        except ValueError:
            return False

    return test


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


def _equal_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


# How a value of the policy is compared with that of the request, and whether that is negated.
OPERATORS: Mapping[str, tuple[Test, bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False),  # AWS: ArnEquals and ArnLike behave identically
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_equal_ignoring_case, False),
    "NumericEquals": (_numeric(float.__eq__), False),
    "NumericNotEquals": (_numeric(float.__eq__), True),
    "NumericLessThan": (_numeric(float.__lt__), False),
    "NumericLessThanEquals": (_numeric(float.__le__), False),
    "NumericGreaterThan": (_numeric(float.__gt__), False),
    "NumericGreaterThanEquals": (_numeric(float.__ge__), False),
}


def holds(condition: Condition, present: tuple[str, ...]) -> bool:
    """Whether a condition holds for the values that its key has; none when the key is missing."""
    if condition.operator == "Null":
        return (condition.values == ("true",)) == (not present)
    test, negated = OPERATORS[condition.operator]
    if not present:
        if condition.quantifier == "ForAnyValue":
            return condition.if_exists
        return condition.if_exists or condition.quantifier == "ForAllValues" or negated
    matches = [any(test(each, value) for each in condition.values) != negated for value in present]
    return any(matches) if condition.quantifier == "ForAnyValue" else all(matches)


# Deciding


def evaluate(
    statements: Iterable[Statement], request: Request, tags_of: TagsOf = cannot_tell
) -> Verdict:
    """IAM's answer to one request. `tags_of` gives the tags of an ARN, None when it cannot tell."""
    allowed: Statement | None = None
    doubtful: list[tuple[Statement, CannotJudge]] = []
    for statement in statements:
        try:
            if not _applies(statement, request, tags_of):
                continue
        except CannotJudge as doubt:
            doubtful.append((statement, doubt))
            continue
        if statement.effect == "Deny":
            return Verdict("denied", f"{statement} matches", statement)
        allowed = allowed or statement
    # A Deny in doubt outweighs an Allow; an Allow in doubt is of no matter once another matches.
    for statement, reason in doubtful:
        if statement.effect == "Deny" or allowed is None:
            return Verdict("cannot-judge", f"{statement}: {reason}", statement)
    if allowed is not None:
        return Verdict("allowed", f"{allowed} matches", allowed)
    return Verdict("denied", f"no statement allows {request.action} on {request.resource}")


def _applies(statement: Statement, request: Request, tags_of: TagsOf) -> bool:
    if not any(action_matches(each, request.action) for each in statement.actions):
        return False
    covered = partial(_covers, statement.resources, request.resource)
    conditions = (partial(_met, each, request, tags_of) for each in statement.conditions)
    return _decide([covered, *conditions], settled_by=False)


def _covers(patterns: Iterable[str], arn: str) -> bool:
    return _decide([partial(arn_matches, each, arn) for each in patterns], settled_by=True)


def _met(condition: Condition, request: Request, tags_of: TagsOf) -> bool:
    return holds(condition, _present(condition, request, tags_of))


def _decide(questions: Iterable[Callable[[], bool]], *, settled_by: bool) -> bool:
    """One answer equal to `settled_by` decides; only without one does doubt about others matter."""
    doubt: CannotJudge | None = None
    for question in questions:
        try:
            if question() is settled_by:
                return settled_by
        except CannotJudge as problem:
            doubt = problem
    if doubt is not None:
        raise doubt
    return not settled_by


def _present(condition: Condition, request: Request, tags_of: TagsOf) -> tuple[str, ...]:
    """The values that the condition's key has in the request."""
    if condition.key in request.unknown:
        raise CannotJudge(f"the value of {condition.key} for {request.resource} is not known")
    if not condition.key.startswith(RESOURCE_TAGS):
        return request.keys.get(condition.key, ())
    if request.creates or request.resource == "*":
        return ()
    owner, service = condition.key.partition(":")[0], request.action.partition(":")[0]
    if owner not in {"aws", service}:
        return ()
    tags = tags_of(request.resource)
    if tags is None:
        raise CannotJudge(f"the tags of {request.resource} are not known")
    name = condition.key.partition("/")[2]
    values = tuple(value for key, value in tags.items() if key.lower() == name)
    if len(values) > 1:
        raise CannotJudge(f"{request.resource} has tags that differ from {name!r} in case only")
    return values


# Guarding the calls of functions

# What each service answers when IAM says no: error code and HTTP status. The codes of SNS, SQS, S3
# and Logs are in the botocore models; the others are those of each service's "Common errors" page.
DENIALS: Mapping[str, tuple[str, int]] = {
    "application-autoscaling": ("AccessDeniedException", 400),
    "backup": ("AccessDeniedException", 403),
    "cloudtrail": ("AccessDeniedException", 400),
    "cloudwatch": ("AccessDenied", 403),
    "dynamodb": ("AccessDeniedException", 400),
    "ebs": ("AccessDeniedException", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "kms": ("AccessDeniedException", 400),
    "lambda": ("AccessDeniedException", 403),
    "logs": ("AccessDeniedException", 400),
    "pi": ("NotAuthorizedException", 400),
    "rds": ("AccessDenied", 403),
    "resourcegroupstaggingapi": ("AccessDeniedException", 400),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "sqs": ("AccessDenied", 403),
    "ssm": ("AccessDeniedException", 400),
}
# The service was allowed, the key behind it was not.
KEY_DENIALS: Mapping[str, tuple[str, int]] = {
    "rds": ("KMSKeyNotAccessibleFault", 400),
    "sns": ("KMSAccessDenied", 400),
    "sqs": ("KmsAccessDenied", 400),
}


@dataclass
class Guard:
    """Raises what AWS would when a function makes a call that its role does not allow."""

    template: Template
    resolve: Resolve
    account: Account
    seen: dict[str, set[str]] = field(default_factory=dict)
    """The actions that each function was allowed: what tests saw it use."""
    refusals: list[str] = field(default_factory=list)
    """What was refused and why, oldest first. A handler may hide a refusal; this list does not."""
    _statements: dict[str, list[Statement]] = field(default_factory=dict, repr=False)

    @classmethod
    def of_stack(cls, resolver: Resolver, **lookups: Callable[[str], Any]) -> Guard:
        """A guard for a deployed stack. `lookups` are those of Account."""
        account = Account(
            resolver.account,
            resolver.region,
            partition_keys=partition_keys(resolver.template, resolver),
            customer_keys=customer_keys(resolver),
            **lookups,
        )
        return cls(resolver.template, resolver, account)

    def check(
        self,
        function_logical_id: str,
        service: str,
        operation: str,
        params: Params,
        region: str | None = None,
    ) -> None:
        """Return if the function's role allows the call; else raise the service's ClientError.

        Raises CannotJudge, which no handler catches, when it cannot tell. `region` is that of the
        client, if it is not the stack's.
        """
        account = replace(self.account, region=region) if region else self.account
        requests = requests_of(service, operation, params, account)
        for request in requests:
            statements = self.statements_of(function_logical_id)
            verdict = evaluate(statements, request, account.tags_of)
            if verdict.outcome == "cannot-judge":
                raise CannotJudge(f"{function_logical_id}, {request.action}: {verdict.why}")
            if verdict.outcome == "denied":
                self.refusals.append(f"{function_logical_id}: {verdict.why}")
                raise self._denial(function_logical_id, service, operation, request, verdict)
        self.seen.setdefault(function_logical_id, set()).update(each.action for each in requests)

    def statements_of(self, function_logical_id: str) -> list[Statement]:
        """The statements of the function's role."""
        if function_logical_id not in self._statements:
            role = function_role(self.template, function_logical_id)
            self._statements[function_logical_id] = role_statements(
                self.template, role, self.resolve
            )
        return self._statements[function_logical_id]

    def _denial(
        self, function: str, service: str, operation: str, request: Request, verdict: Verdict
    ) -> ClientError:
        role = self.resolve({"Ref": function_role(self.template, function)})
        name = self.resolve({"Ref": function})
        user = f"arn:aws:sts::{self.account.id}:assumed-role/{role}/{name}"
        because = f"because no identity-based policy allows the {request.action} action"
        if verdict.statement is not None:
            because = "with an explicit deny in an identity-based policy"
        message = (
            f"User: {user} is not authorized to perform: {request.action} "
            f"on resource: {request.resource} {because}"
        )
        if service == "ec2":
            message = f"You are not authorized to perform this operation. {message}"
        if operation.startswith("Head"):  # the answer to HEAD has no body to say more in
            return client_error("403", "Forbidden", operation, 403)
        behind_key = request.action.startswith("kms:") and service in KEY_DENIALS
        code, status = (KEY_DENIALS if behind_key else DENIALS)[service]
        return client_error(code, message, operation, status)
