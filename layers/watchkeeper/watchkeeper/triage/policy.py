"""The operator's policy of triage: whose what is, what belongs together, and how grave an alarm is.

The operator writes it as JSON into one parameter of the Parameter Store; `docs/policy-of-triage.md`
is their page. No parameter means the default below. `watchkeeper.policy_text` says what becomes of
a text that does not parse, or that would be dangerous.

Patterns are of `*` and `?` only. Nothing here reads AWS or the clock: text in, decision out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from watchkeeper.policy_text import (
    Dangers,
    OneLine,
    Policy,
    PolicyDecision,
    Problem,
    read_policy,
    which_policy,
)
from watchkeeper.quoting import quoted
from watchkeeper.triage.globs import matches
from watchkeeper.triage.log_groups import MOST_GROUPS, valid_group
from watchkeeper.triage.severity import Severity

CAPABILITY = "triage"
"""The name of the parameter."""

MOST_ENTRIES = 100
"""Of each list: more do not fit into the 8 KB of the parameter."""
MOST_TOGETHER = 5
"""Each tag key costs one call a look and value."""
MOST_CALLEES = 20
"""Of one caller: of more neighbours than twelve none is looked at."""
LONGEST_GLOB = 300
"""Characters: the ARNs of what has alarms are shorter."""
SHORTEST_ROLE = 3
"""Characters of a principal's name that must be written out in `code`."""

# What pydantic's words mean here.
PLAIN_WORDS = {
    "too_short": "this is empty: write at least one item, or leave the field out",
    "too_long": "there are too many items here: merge those that are alike, with *",
    "string_too_long": "this text is too long: shorten it",
    "string_too_short": "this text is empty: write it, or leave the field out",
}

DEFAULT_TRIAGE_POLICY: Final[dict[str, Any]] = {
    "version": 1,
    "owner_tag": "owner",
    "owners": [],
    "default_owner": "",
    # What most tagging guides call the thing that several resources make up together.
    "together_tags": ["service"],
    "logs": [],
    "calls": {},
    # What CloudFormation itself does is known without being told.
    "code": [],
    "severities": [],
    # An alarm of which nobody says how grave it is was still made for somebody to come.
    "default_severity": "high",
}


def _glob(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("this is no pattern: write it without spaces, with * for any text")
    return text


def _arn_glob(text: str) -> str:
    if text != "*" and not re.fullmatch(r"arn:[a-z*-]+:[a-z0-9*-]+:[\x21-\x7e]*", text):
        raise ValueError(
            "this is no pattern of ARNs: write one such as"
            ' "arn:aws:rds:*:*:db:orders-*", or "*" for all'
        )
    return _glob(text)


def _arn(text: str) -> str:
    pattern = r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:[0-9]{12})?:[A-Za-z0-9_.$/+=,@:#-]{1,255}"
    if not re.fullmatch(pattern, text):
        raise ValueError(
            "this is no ARN: write a whole one, without *, such as"
            ' "arn:aws:lambda:eu-west-1:111122223333:function:orders-api"'
        )
    return text


def _group(text: str) -> str:
    if not valid_group(text):
        raise ValueError(
            "this is no name of a log group: write one such as"
            ' "/aws/lambda/orders-api", without an ARN around it and without *'
        )
    return text


def _tag_key(text: str) -> str:
    if not re.fullmatch(r"[\w .:/=+@-]{1,128}", text) or text.strip() != text:
        raise ValueError(
            "this is no key of a tag: write 1 to 128 letters, digits, inner spaces or _.:/=+-@"
        )
    return text


def _owner(text: str) -> str:
    if text.strip() != text or not text.isprintable():
        raise ValueError("this is no name: write one plain line without spaces around it")
    return text


Glob = Annotated[str, Field(max_length=LONGEST_GLOB), AfterValidator(_glob)]
ArnGlob = Annotated[str, Field(max_length=LONGEST_GLOB), AfterValidator(_arn_glob)]
Arn = Annotated[str, AfterValidator(_arn)]
Group = Annotated[str, AfterValidator(_group)]
Owner = Annotated[str, Field(max_length=64), AfterValidator(_owner)]
Key = Annotated[str, AfterValidator(_tag_key)]


class OwnerOf(Policy):
    """Who owns what has no tag that says so."""

    resources: ArnGlob = Field(examples=["arn:aws:rds:*:*:db:orders-*"])
    owner: Annotated[Owner, Field(min_length=1)] = Field(examples=["team-orders"])


class LogsOf(Policy):
    """Where resources write their logs, besides where their service does by itself."""

    resources: ArnGlob = Field(examples=["arn:aws:ecs:*:*:service/shop/*"])
    groups: tuple[Group, ...] = Field(
        min_length=1, max_length=MOST_GROUPS, examples=[["/shop/orders-api"]]
    )


class SeverityOf(Policy):
    """How grave alarms are that do not say so themselves."""

    alarms: Glob = Field(examples=["*-batch-*"])
    """Of their names."""
    severity: Severity = Field(examples=["low"])


class TriagePolicy(Policy):
    """The whole policy. One that exists is safe to act on."""

    version: Literal[1] = Field(default=1, examples=[1])
    """Of this format."""
    owner_tag: Key = Field(default="owner", examples=["owner"])
    """The key of the tag that says who owns a resource."""
    owners: tuple[OwnerOf, ...] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        examples=[[{"resources": "arn:aws:rds:*:*:db:orders-*", "owner": "team-orders"}]],
    )
    """Of resources without that tag; the first that matches counts."""
    default_owner: Owner = Field(default="", examples=["team-platform"])
    """Of the others."""
    together_tags: tuple[Key, ...] = Field(
        default=("service",), max_length=MOST_TOGETHER, examples=[["service", "app"]]
    )
    """Keys of tags: resources with the same value of one of these are neighbours."""
    logs: tuple[LogsOf, ...] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        examples=[[{"resources": "arn:aws:ecs:*:*:service/shop/*", "groups": ["/shop/api"]}]],
    )
    """Of all that match."""
    calls: dict[Arn, Annotated[tuple[Arn, ...], Field(min_length=1, max_length=MOST_CALLEES)]] = (
        Field(
            default_factory=dict,
            max_length=MOST_ENTRIES,
            examples=[
                {
                    "arn:aws:lambda:eu-west-1:111122223333:function:orders-api": [
                        "arn:aws:rds:eu-west-1:111122223333:db:orders"
                    ]
                }
            ],
        )
    )
    """Who calls whom: the caller's ARN, and those of what it calls."""
    code: tuple[ArnGlob, ...] = Field(
        default=(), max_length=MOST_ENTRIES, examples=[["arn:aws:iam::111122223333:role/deploy-*"]]
    )
    """Principals that apply infrastructure as code: what they do is a change, and not suspicious
    by being many acts at once."""
    severities: tuple[SeverityOf, ...] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        examples=[[{"alarms": "*-batch-*", "severity": "low"}]],
    )
    """The first that matches counts."""
    default_severity: Severity = Field(default=Severity.HIGH, examples=["high"])
    """Of the others."""
    note: OneLine = Field(default="", max_length=200, examples=["Asked for by team-orders"])
    """One line for people; nothing reads it."""

    def owner_of(self, arn: str) -> str:
        """By ARN alone; "" if nobody is named."""
        found = (one.owner for one in self.owners if matches(one.resources, arn))
        return next(found, self.default_owner)

    def groups_of(self, arn: str) -> tuple[str, ...]:
        """Log groups that the policy names for a resource, each once, in its order."""
        found = [group for one in self.logs if matches(one.resources, arn) for group in one.groups]
        return tuple(dict.fromkeys(found))

    def severity_of(self, name: str) -> Severity:
        """Of an alarm that does not say it itself."""
        found = (one.severity for one in self.severities if matches(one.alarms, name))
        return next(found, self.default_severity)

    def called_by(self, arn: str) -> Sequence[str]:
        return self.calls.get(arn, ())

    def callers_of(self, arn: str) -> Sequence[str]:
        return [caller for caller, callees in self.calls.items() if arn in callees]

    @model_validator(mode="after")
    def _refuse_dangers(self) -> Self:
        dangers = [
            *_never_reached("owners", [one.resources for one in self.owners]),
            *_never_reached("severities", [one.alarms for one in self.severities]),
            *_dangers_of_calls(self.calls),
            *_dangers_of_code(self.code),
        ]
        if dangers:
            raise Dangers(dangers)
        return self


def decide_triage_policy(
    stored_text: str | None, last_good: str | None
) -> PolicyDecision[TriagePolicy]:
    """Which policy is in force, given the parameter's text and the last text that was accepted.

    `None` means that there is none; what could not be read must not be passed as `None`.
    """
    return which_policy(stored_text, last_good, parse_triage_policy, default_triage_policy)


@cache
def default_triage_policy() -> TriagePolicy:
    """The policy of an operator who wrote none."""
    return TriagePolicy.model_validate(DEFAULT_TRIAGE_POLICY)


@lru_cache(maxsize=4)  # every sweep reads the same text; two are in play while it changes
def parse_triage_policy(text: str) -> TriagePolicy:
    """Read the operator's JSON. Raises `PolicyRefused` with every problem that it has."""
    return read_policy(TriagePolicy, text, CAPABILITY, PLAIN_WORDS)


# ---------------------------------------------------------------- dangers


def _never_reached(place: str, patterns: Sequence[str]) -> Iterator[Problem]:
    """A pattern that an earlier one matches as a text covers nothing that is left."""
    field = "alarms" if place == "severities" else "resources"
    for at, pattern in enumerate(patterns):
        before = next((one for one in patterns[:at] if matches(one, pattern)), None)
        if before is not None:
            yield Problem(
                f"{place}.{at}.{field}",
                f"{pattern} is never reached: {before} comes before it, and the first that"
                " matches counts",
                "write what is special first and what is general last",
            )


def _dangers_of_calls(calls: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    for caller, callees in calls.items():
        if caller in callees:
            yield Problem(
                f"calls.{quoted(caller)}",
                "it calls itself, and so would be the cause of its own trouble",
                "leave it out of its own list",
            )


def _dangers_of_code(code: Sequence[str]) -> Iterator[Problem]:
    for at, pattern in enumerate(code):
        _, kind, name = pattern.partition("/")
        is_named = bool(kind) and len(re.sub(r"[*?/]", "", name)) >= SHORTEST_ROLE
        if ":iam:" not in pattern.replace(":sts:", ":iam:") or not is_named:
            yield Problem(
                f"code.{at}",
                "this would be nearly everybody, so nothing that anybody does would be suspicious",
                'name the role, such as "arn:aws:iam::111122223333:role/deploy-*"',
            )
