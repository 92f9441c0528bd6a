"""What an event's policies and permissions say, as fields that rules can ask for. Pure.

Text rules cannot tell "another account" from one's own, nor "Action": "*" written in six ways, so
these are worked out of the JSON. A rule names them as `derived.<name>`:

    otherAccounts  ids of accounts that are allowed in and are not the event's own
    anyone         true where everybody is allowed in, without a condition
    fullAccess     true where every action on everything is allowed, without a condition
    principal      who did it; for a session its role's ARN, which lasts longer than the session
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

DERIVED = "derived"
"""First part of the path of a field that is worked out."""

DOCUMENTS = (
    "policyDocument", "assumeRolePolicyDocument", "bucketPolicy", "policy", "policyText",
    "resourcePolicy", "repositoryPolicyText",
)  # fmt: skip
"""Request parameters that hold a policy, as JSON text or, in S3's events, parsed."""

PRINCIPALS = ("principal", "principalOrgID", "accountIds", "valuesToAdd")
"""Request parameters that allow somebody in without a policy."""

ACCOUNT = re.compile(r"(?:arn:[\w-]+:(?:iam|sts)::)?(\d{12})(?::[\x21-\x7e]*)?")

LONGEST_POLICY = 128 * 1024
"""Characters: IAM's own limit is 10,240, an encoded one has three times as many."""


def derived(event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are worked out of `event`; what does not hold is left out."""
    identity = _mapping(event.get("userIdentity"))
    fields: dict[str, Any] = {}
    if who := principal(identity):
        fields["principal"] = who
    parameters = _mapping(event.get("requestParameters"))
    if not parameters:
        return fields
    own = {str(event.get("recipientAccountId")), str(identity.get("accountId"))}
    statements = [one for one in _statements(parameters) if one.get("Effect") == "Allow"]
    let_in = {text for one in statements for text in _allowed_in(one)} | set(_named(parameters))
    others = sorted({found[1] for one in let_in if (found := ACCOUNT.fullmatch(one))} - own)
    if others:
        fields["otherAccounts"] = others
    if let_in & {"*", "all"}:
        fields["anyone"] = True
    if any(_allows_everything(one) for one in statements):
        fields["fullAccess"] = True
    return fields


def principal(identity: Mapping[str, Any]) -> str:
    """The ARN of whoever acted, of the role where it was a session of one; else the best name that
    the event has.
    """
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    names = ("arn", "userName", "invokedBy", "principalId", "type")
    found = (issuer.get("arn"), *(identity.get(name) for name in names))
    return next((one for one in found if isinstance(one, str) and one), "")


def _statements(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in DOCUMENTS:
        document = _mapping(_parsed(parameters.get(name)))
        for one in _list(document.get("Statement")):
            if isinstance(one, Mapping):
                yield one


def _parsed(document: Any) -> Any:
    if not isinstance(document, str) or len(document) > LONGEST_POLICY:
        return document
    text = unquote(document) if document.lstrip().startswith("%7B") else document
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _allowed_in(statement: Mapping[str, Any]) -> Iterator[str]:
    """ARNs and ids that a statement lets in. Conditions narrow down "everybody", but hardly an
    account: an external id is known to whoever asks for it.
    """
    who = statement.get("Principal")
    named = [*_list(who), *_list(who.get("AWS"))] if isinstance(who, Mapping) else _list(who)
    for one in named:
        if isinstance(one, str) and not (one == "*" and statement.get("Condition")):
            yield one


def _named(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name in PRINCIPALS:
        yield from (one for one in _list(parameters.get(name)) if isinstance(one, str))
    for name in ("createVolumePermission", "launchPermission"):
        added = _mapping(_mapping(parameters.get(name)).get("add"))
        for one in _list(added.get("items")):
            yield from (str(each) for each in _mapping(one).values())


def _allows_everything(statement: Mapping[str, Any]) -> bool:
    actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
    return (
        not statement.get("Condition") and bool({"*", "*:*"} & _texts(actions)) and "*" in resources
    )


def _texts(values: list[Any]) -> set[str]:
    return {one for one in values if isinstance(one, str)}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
