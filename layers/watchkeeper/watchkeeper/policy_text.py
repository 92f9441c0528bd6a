"""From the text that an operator wrote to a policy, or to everything that is wrong with it.

What the policies of all capabilities share: one JSON text in one parameter of the Parameter Store.
No parameter means the documented default. A text that does not parse, or that would be dangerous,
is refused whole, with every problem named at once; the last good policy then stays in force.

Nothing here reads AWS or the clock: text in, decision out.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from watchkeeper.backups.model import OPTED_OUT
from watchkeeper.durations import Duration
from watchkeeper.quoting import LONGEST_QUOTE, quoted
from watchkeeper.schedules import ScheduleRefused

# The Parameter Store holds 4 KB in the standard tier and 8 KB in the advanced one; what is longer
# did not come from there.
LONGEST_TEXT = 8 * 1024

# What a person reads to the end. The exception carries all problems.
MOST_PROBLEMS_SHOWN = 20

# Room for a sentence and a quote; the rest of a longer message is only more input.
LONGEST_MESSAGE = 300

# Pydantic speaks of dictionaries and instances; the operator wrote JSON.
PLAIN_WORDS = {
    "model_type": "this is not an object in braces",
    "dict_type": "this is not an object in braces",
    "tuple_type": "this is not a list in brackets",
    "string_type": "this is not text in double quotes",
    "int_type": "this is not a whole number",
    "float_type": "this is not a number",
    "bool_type": "this is neither true nor false",
}


class Policy(BaseModel):
    """A policy or a part of one: never changed once read, and every unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


PolicyT = TypeVar("PolicyT", bound=Policy)


# ---------------------------------------------------------------- what is wrong


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy, where, and what to write instead."""

    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n    remedy: {self.remedy}"


class PolicyRefused(Exception):
    """The policy is not put in force; `problems` says everything that is wrong with it."""

    def __init__(self, capability: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = self.problems[:MOST_PROBLEMS_SHOWN]
        count = len(self.problems)
        plural = "s" if count != 1 else ""
        lines = [f"The {capability} policy is refused: {count} problem{plural}."]
        lines += [f"- {problem}" for problem in shown]
        if count > len(shown):
            lines.append(f"… and {count - len(shown)} more")
        super().__init__("\n".join(lines))


class Dangers(ValueError):
    """Values that are each well-formed and together dangerous; places are relative to the model."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.what}: {problem.remedy}" for problem in problems))
        self.problems = problems


# ---------------------------------------------------------------- which policy is in force


@dataclass(frozen=True, slots=True)
class PolicyDecision(Generic[PolicyT]):
    """The policy in force, where it comes from and why; `refused` if the parameter was not used."""

    policy: PolicyT
    source: Literal["parameter", "default", "last-good"]
    refused: PolicyRefused | None
    why: str


def which_policy(
    stored_text: str | None,
    last_good: str | None,
    parse: Callable[[str], PolicyT],
    default: Callable[[], PolicyT],
) -> PolicyDecision[PolicyT]:
    """Which policy is in force, given the parameter's text and the last text that was accepted.

    `None` means that there is none; what could not be read must not be passed as `None`.
    """
    if stored_text is None:
        why = "there is no policy parameter, so the documented default is in force"
        return PolicyDecision(default(), "default", None, why)
    try:
        policy = parse(stored_text)
    except PolicyRefused as refused:
        return _without(refused, last_good, parse, default)
    why = f"the policy parameter was read and accepted (digest {policy_digest(stored_text)})"
    return PolicyDecision(policy, "parameter", None, why)


def _without(
    refused: PolicyRefused,
    last_good: str | None,
    parse: Callable[[str], PolicyT],
    default: Callable[[], PolicyT],
) -> PolicyDecision[PolicyT]:
    """What is in force when the parameter's text is refused."""
    if last_good is None:
        why = "the policy parameter is refused and none was good before: the default is in force"
        return PolicyDecision(default(), "default", refused, why)
    try:
        policy = parse(last_good)
    except PolicyRefused:  # written for an older, more lenient version of this program
        why = (
            "the policy parameter is refused, and the last good policy is no longer accepted by"
            " this version: the default is in force"
        )
        return PolicyDecision(default(), "default", refused, why)
    why = (
        "the policy parameter is refused: the last good policy stays in force"
        f" (digest {policy_digest(last_good)})"
    )
    return PolicyDecision(policy, "last-good", refused, why)


def policy_digest(text: str) -> str:
    """16 hex digits by which two texts are told apart: of the text, not of its meaning."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# ---------------------------------------------------------------- values that policies share


def _name_of_plan(name: str) -> str:
    if name == OPTED_OUT:
        raise ValueError(
            f'"{OPTED_OUT}" is how a resource opts out of backups: give the plan another name'
        )
    if not re.fullmatch("[a-z][a-z0-9-]{0,30}", name):
        raise ValueError(
            "this is no name for a plan: begin with a small letter, then at most 30 small letters,"
            " digits and hyphens"
        )
    return name


def _tag_key(key: str) -> str:
    if not re.fullmatch(r"[\w .:/=+@-]{1,128}", key) or key.strip() != key:
        raise ValueError(
            "this is no key of a tag: write 1 to 128 letters, digits, inner spaces or _.:/=+-@"
        )
    if key.lower().startswith(("aws:", "watchkeeper:")):
        raise ValueError(
            'keys in "aws:" and "watchkeeper:" are not for people to set: choose another tag key'
        )
    return key


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("this has control characters or line ends: write one plain line")
    return text


def _lasting(duration: Duration) -> Duration:
    if not duration:
        raise ValueError('this is no time at all: write a duration such as "8h" or "7d"')
    return duration


NameOfPlan = Annotated[str, AfterValidator(_name_of_plan)]
TagKey = Annotated[str, AfterValidator(_tag_key)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Lasting = Annotated[Duration, AfterValidator(_lasting)]


def whole_hours(span: timedelta) -> str:
    """A span as a duration that an operator can copy: whole hours, rounded up, or days."""
    hours = -(-span // timedelta(hours=1))
    days, rest = divmod(hours, 24)
    return f"{days}d" if days > 1 and rest == 0 else f"{hours}h"


# ---------------------------------------------------------------- from text to problems


def read_policy(
    model: type[PolicyT], text: str, capability: str, words: Mapping[str, str]
) -> PolicyT:
    """The policy that a JSON text holds. Raises `PolicyRefused` with every problem that it has.

    `words` say in plain language what pydantic's types of errors mean in this policy.
    """
    reading = _Reading(model, {**PLAIN_WORDS, **words})
    try:
        problems = list(_problems_of_json(_read_json(text), ()))
    except _NotJson as unread:
        raise PolicyRefused(capability, [unread.problem]) from None
    try:
        policy = model.model_validate_json(text)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problems += reading.problems(detail)
        raise PolicyRefused(capability, problems) from None
    if problems:
        raise PolicyRefused(capability, problems)
    return policy


class _NotJson(Exception):
    def __init__(self, place: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.problem = Problem(place, what, remedy)


class _Object(dict[str, object]):
    """A JSON object that remembers the keys it was given twice: Python keeps the last silently."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, object]]) -> _Object:
    found = _Object(pairs)
    keys = [key for key, _ in pairs]
    if len(found) < len(keys):
        found.repeated = tuple(key for key in found if keys.count(key) > 1)
    return found


def _read_json(text: str) -> object:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LONGEST_TEXT:
        raise _NotJson(
            "policy",
            f"the text has {size} bytes, more than the {LONGEST_TEXT} of a parameter",
            "shorten it: leave out what equals the default, and merge what is alike",
        )
    remedy = "write one JSON object; JSON has no comments and no comma after the last item"
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        near = quoted(text[error.pos : error.pos + 40])
        raise _NotJson(place, f"not JSON: {error.msg} at {near}", remedy) from None
    except (RecursionError, ValueError):  # nested or a number with digits by the thousand
        raise _NotJson("policy", "not JSON that can be read", remedy) from None


def _problems_of_json(value: object, where: tuple[str | int, ...]) -> Iterator[Problem]:
    """What Python's reader lets pass although JSON does not have it or does not mean it."""
    if isinstance(value, _Object):
        for key in value.repeated:
            yield Problem(
                _place((*where, key)),
                "this field is written more than once, and only the last would count",
                "delete all but one",
            )
        for key, inner in value.items():
            yield from _problems_of_json(inner, (*where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _problems_of_json(inner, (*where, index))
    elif isinstance(value, float) and not isfinite(value):
        yield Problem(_place(where), "this is not a finite number", "write one that JSON has")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Pydantic's errors about one model, as problems that an operator can solve."""

    model: type[Policy]
    words: Mapping[str, str]

    def problems(self, detail: ErrorDetails) -> Iterator[Problem]:
        """The problems behind one error of pydantic."""
        where = tuple(part for part in detail["loc"] if part != "[key]")
        error = detail.get("ctx", {}).get("error")
        if isinstance(error, Dangers):
            for danger in error.problems:
                place = f"{_place(where)}.{danger.place}" if where else danger.place
                yield Problem(place, danger.what, danger.remedy)
        elif isinstance(error, ScheduleRefused):
            yield Problem(_place(where), error.what, error.remedy)
        elif detail["type"] == "extra_forbidden":
            yield self._unknown_field(where)
        elif detail["type"] == "missing":
            yield Problem(_place(where), "this field is missing", self._example(where))
        else:
            yield self._bad_value(where, detail)

    def _bad_value(self, where: tuple[str | int, ...], detail: ErrorDetails) -> Problem:
        value = detail["input"]
        what = self.words.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "literal_error":
            known = detail.get("ctx", {}).get("expected", "").replace("'", '"')
            what = f"this is not known here: write {known}"
        if isinstance(value, str):
            what = what.replace(repr(value), quoted(value))
        # How validators put the remedy after the fault.
        what, _, remedy = what.partition(": ")
        # A key is in the place already.
        is_shown = "[key]" in detail["loc"] or quoted(value) in what
        if isinstance(value, str | int | float) and not is_shown:
            what = f"{quoted(value)}: {what}"
        return Problem(_place(where), _cut(what), _cut(remedy) or self._example(where))

    def _unknown_field(self, where: tuple[str | int, ...]) -> Problem:
        known = sorted(self._fields(where[:-1]))
        near = get_close_matches(str(where[-1])[:80], known, n=1)
        remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
        return Problem(_place(where), "this field is not known", remedy)

    def _example(self, where: tuple[str | int, ...]) -> str:
        """The example of the field at this place or, failing that, of the one around it."""
        for end in range(len(where), 0, -1):
            name = str(where[end - 1])
            field = self._fields(where[: end - 1]).get(name)
            if field is not None and field.examples:
                return f'write for example "{name}": {json.dumps(field.examples[0])}'
        known = ", ".join(f'"{field}"' for field in self.model.model_fields)
        return f"write one object; its fields are {known}"

    def _fields(self, where: tuple[str | int, ...]) -> dict[str, FieldInfo]:
        """The fields of the model at this place of the policy; none if there is no model."""
        inner: Any = self.model
        for part in where:
            if get_origin(inner) is dict:
                inner = get_args(inner)[1]
            elif get_origin(inner) is tuple:  # a list of models
                inner = get_args(inner)[0]
            else:
                field = getattr(inner, "model_fields", {}).get(part)
                inner = field.annotation if field else None
                if get_origin(inner) is UnionType:  # a model that may be left out
                    inner = get_args(inner)[0]
        return dict(getattr(inner, "model_fields", {}))


def _place(where: tuple[str | int, ...]) -> str:
    """`plans.gold.keep`; what is not a plain word is quoted, because the operator chose it."""
    plain = re.compile(r"[\w-]{1,40}", re.ASCII)
    parts = [str(p) if plain.fullmatch(str(p)) else quoted(str(p)) for p in where]
    return ".".join(parts) or "policy"


def _cut(text: str) -> str:
    words = re.sub(rf"\S{{{LONGEST_QUOTE},}}", lambda word: f"{word[0][:LONGEST_QUOTE]}…", text)
    return words if len(words) <= LONGEST_MESSAGE else f"{words[:LONGEST_MESSAGE]}…"
