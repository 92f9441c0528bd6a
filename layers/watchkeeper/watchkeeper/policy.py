"""The operator's policy: what is backed up when, kept how long, and how much a run may remove.

The operator writes it as JSON into one parameter of the Parameter Store; `docs/policy.md` is their
page. No parameter means the default below. A text that does not parse, or that would be dangerous,
is refused whole, with every problem named at once; the last good policy then stays in force.

Nothing here reads AWS or the clock: text in, decision out.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from watchkeeper.backups.model import OPTED_OUT
from watchkeeper.backups.retention import ALL, Floor, Keep
from watchkeeper.durations import Duration
from watchkeeper.quoting import LONGEST_QUOTE, quoted
from watchkeeper.schedules import (
    LONGEST_PAUSE,
    Schedule,
    ScheduleRefused,
    check_expression,
    check_zone,
    longest_gap,
)

# The Parameter Store holds 4 KB in the standard tier and 8 KB in the advanced one; what is longer
# did not come from there.
LONGEST_TEXT = 8 * 1024

# Each plan has its own nightly run and its own metrics, which cost money. Past this many, plans
# have become a list of resources, which is what the tag is for.
MOST_PLANS = 20

# What a person reads to the end. The exception carries all problems.
MOST_PROBLEMS_SHOWN = 20

# Room for a sentence and a quote; the rest of a longer message is only more input.
LONGEST_MESSAGE = 300

# Systems Manager allows 128 characters. The role may run no document that is not named so: with
# AWS-RunShellScript, which runs whatever it is given, a policy would be a root shell everywhere.
DOCUMENT = re.compile(r"watchkeeper-[a-zA-Z0-9_.-]{1,116}")

# Systems Manager takes a second or two to reach an instance and to hear back, so what is shorter
# than five seconds would be called failed on a good day.
SHORTEST_SCRIPT = timedelta(seconds=5)

# What the pre script has stopped stands still until the post script has run, and so may whoever
# uses it: past ten minutes, that is an outage and not a backup.
LONGEST_SCRIPT = timedelta(minutes=10)

# Pydantic speaks of dictionaries and instances; the operator wrote JSON.
PLAIN_WORDS = {
    "model_type": "this is not an object in braces",
    "dict_type": "this is not an object in braces",
    "tuple_type": "this is not a list in brackets",
    "string_type": "this is not text in double quotes",
    "int_type": "this is not a whole number",
    "too_short": "there is no plan, so nothing would be backed up",
    "too_long": f"there are more than {MOST_PLANS} plans: merge those that are alike",
}

DEFAULT_BACKUPS_POLICY: Final[dict[str, Any]] = {
    "version": 1,
    "choose_by": "backup-plan",
    "plans": {
        # Production data: at most a working day is lost. Two days in full for "what was it like
        # before the deploy", two weeks of days, two months of weeks, a year of month ends.
        "gold": {
            "description": "Production: every six hours, kept for a year",
            "schedule": "0 */6 * * *",
            "zone": "UTC",
            "rpo": "8h",  # six hours between two starts, and two for the snapshots to complete
            "keep": {"within": "2d", "daily": 14, "weekly": 8, "monthly": 12},
            "floor": {"count": 4, "age": "1d"},
            # A database that it is off for loses six hours more than it needs to.
            "point_in_time": "expected",
        },
        # What could be rebuilt, with pain: once a night, when few people work.
        "silver": {
            "description": "Internal systems: every night, kept for half a year",
            "schedule": "0 2 * * *",
            "zone": "UTC",
            "rpo": "26h",  # a day, and two hours for the snapshots to complete
            "keep": {"daily": 14, "weekly": 8, "monthly": 6},
            "floor": {"count": 3, "age": "2d"},
        },
        # What changes rarely: on Sunday, so that Monday's mistakes have a fresh copy before them.
        "bronze": {
            "description": "Development: every week, kept for three months",
            "schedule": "0 3 * * SUN",
            "zone": "UTC",
            "rpo": "8d",  # a week, and a day for somebody to repeat a failed run
            "keep": {"weekly": 8, "monthly": 3},
            "floor": {"count": 2, "age": "7d"},
        },
    },
    "removal": {
        "schedule": "0 6 * * *",  # after the night's backups, before people come in
        "zone": "UTC",
        # Two days' worth for 100 resources on gold (four a day each) and some to spare, so that a
        # missed day is caught up, and a slip in the policy stops before a fleet's history is gone.
        "cap": 1000,
        # EBS refuses a volume's sixth snapshot while five failed ones of it are there: at four a
        # day, a longer stay would go on refusing after the cause of the failures is mended.
        "failed_after": "1d",
    },
}


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

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = self.problems[:MOST_PROBLEMS_SHOWN]
        count = len(self.problems)
        lines = [f"The backups policy is refused: {count} problem{'s' if count != 1 else ''}."]
        lines += [f"- {problem}" for problem in shown]
        if count > len(shown):
            lines.append(f"… and {count - len(shown)} more")
        super().__init__("\n".join(lines))


class Dangers(ValueError):
    """Values that are each well-formed and together dangerous; places are relative to the model."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.what}: {problem.remedy}" for problem in problems))
        self.problems = problems


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


def _name_of_document(name: str) -> str:
    if not DOCUMENT.fullmatch(name):
        raise ValueError(
            "this is no document that may be run: write the name, not the ARN, of one of yours that"
            ' begins with "watchkeeper-", such as "watchkeeper-postgresql"'
        )
    return name


def _script_time(value: object) -> timedelta:
    time = value if isinstance(value, timedelta) else _read_script_time(value)
    if not SHORTEST_SCRIPT <= time <= LONGEST_SCRIPT:
        raise ValueError(
            f'{_script_time_text(time)} is not between "{_script_time_text(SHORTEST_SCRIPT)}" and'
            f' "{_script_time_text(LONGEST_SCRIPT)}": write less than a database may stand still,'
            ' such as "2min"'
        )
    return time


def _read_script_time(value: object) -> timedelta:
    parts = re.fullmatch("([0-9]{1,5})(s|min)", value) if isinstance(value, str) else None
    if not parts:
        raise ValueError(
            "this is no time for a script: write seconds or minutes in double quotes, such as"
            ' "90s" or "2min" (an m alone is a month in this policy)'
        )
    return timedelta(**{{"s": "seconds", "min": "minutes"}[parts[2]]: int(parts[1])})


def _script_time_text(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes * 60 + seconds}s" if seconds or not minutes else f"{minutes}min"


def _lasting(duration: Duration) -> Duration:
    if not duration:
        raise ValueError('this is no time at all: write a duration such as "8h" or "7d"')
    return duration


class _Part(BaseModel):
    """A part of the policy: never changed once read, and every unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Scripts(_Part):
    """What runs on an EC2 instance around its snapshots, so that applications are at rest in them.

    docs/application-consistency.md says when that is worth it.
    """

    document: Annotated[str, AfterValidator(_name_of_document)] = Field(
        examples=["watchkeeper-postgresql"]
    )
    """The operator's SSM Command document. It is run with `command` = `pre-script` before and
    `post-script` after, and with an `executionId`: as Data Lifecycle Manager runs its own."""
    timeout: Annotated[
        timedelta, PlainValidator(_script_time), PlainSerializer(_script_time_text)
    ] = Field(default=timedelta(minutes=2), examples=["2min"])
    """How long the pre script may take. Two minutes: what Data Lifecycle Manager gives at most."""


class Plan(_Part):
    """What a resource gets that carries the plan's name as its tag."""

    description: Annotated[str, AfterValidator(_one_line)] = Field(
        default="", max_length=200, examples=["Production: every six hours"]
    )
    """For people; shown in reports."""
    schedule: Annotated[str, AfterValidator(check_expression)] = Field(examples=["0 2 * * *"])
    """When a recovery point is made: five cron fields, read in `zone`."""
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        default="UTC", examples=["Europe/Amsterdam"]
    )
    """The IANA zone of the schedule, and of the days and months that `keep` counts."""
    rpo: Annotated[Duration, AfterValidator(_lasting)] = Field(examples=["26h"])
    """How old the newest completed recovery point may become before someone is told."""
    keep: Keep = Field(examples=[{"daily": 14, "weekly": 8}])
    """Which recovery points stay."""
    floor: Floor = Field(default=Floor(count=3), examples=[{"count": 3, "age": "2d"}])
    """What stays whatever `keep` says. Three: the newest, the one before, and one to compare."""

    point_in_time: Literal["optional", "expected", "enable"] = Field(
        default="optional", examples=["expected"]
    )
    """Whether databases and tables must have point-in-time recovery on: `expected` reports those
    that have not, `enable` also switches it on for DynamoDB tables. Never for RDS: going from no
    retention to some takes a database down for a moment, which is for a person to time."""
    scripts: Scripts | None = Field(
        default=None, examples=[{"document": "watchkeeper-postgresql", "timeout": "2min"}]
    )
    """What to run on EC2 instances around their snapshots, if anything."""

    @property
    def when(self) -> Schedule:
        return Schedule(self.schedule, self.zone)

    @model_validator(mode="after")
    def _refuse_dangers(self) -> Self:
        if dangers := [*_dangers_of_rpo(self), *_dangers_of_retention(self)]:
            raise Dangers(dangers)
        return self


class Removal(_Part):
    """How recovery points that no rule keeps are removed."""

    schedule: Annotated[str, AfterValidator(check_expression)] = Field(
        default="0 6 * * *", examples=["0 6 * * *"]
    )
    """When retention is applied: five cron fields, read in `zone`."""
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        default="UTC", examples=["Europe/Amsterdam"]
    )
    cap: StrictInt = Field(default=1000, ge=1, le=100_000, examples=[1000])
    """Most recovery points removed by one run. If more are due, none is removed and a person is
    paged."""
    failed_after: Annotated[Duration, AfterValidator(_lasting)] = Field(
        default=Duration(days=1), examples=["1d"]
    )
    """Age at which recovery points that never completed are removed."""

    @property
    def when(self) -> Schedule:
        return Schedule(self.schedule, self.zone)


class BackupsPolicy(_Part):
    """The whole policy. One that exists is safe to act on."""

    version: Literal[1] = Field(default=1, examples=[1])
    """Of this format."""
    choose_by: Annotated[str, AfterValidator(_tag_key)] = Field(
        default="backup-plan", examples=["backup-plan"]
    )
    """The tag by which a resource names its plan, or `none`."""
    plans: dict[Annotated[str, AfterValidator(_name_of_plan)], Plan] = Field(
        min_length=1,
        max_length=MOST_PLANS,
        examples=[{"silver": {"schedule": "0 2 * * *", "rpo": "26h", "keep": {"daily": 14}}}],
    )
    removal: Removal = Field(default_factory=Removal, examples=[{"cap": 1000}])


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The policy in force, where it comes from and why; `refused` if the parameter was not used."""

    policy: BackupsPolicy
    source: Literal["parameter", "default", "last-good"]
    refused: PolicyRefused | None
    why: str


def decide_policy(stored_text: str | None, last_good: str | None) -> PolicyDecision:
    """Which policy is in force, given the parameter's text and the last text that was accepted.

    `None` means that there is none; what could not be read must not be passed as `None`.
    """
    if stored_text is None:
        why = "there is no policy parameter, so the documented default is in force"
        return PolicyDecision(default_backups_policy(), "default", None, why)
    try:
        policy = parse_backups_policy(stored_text)
    except PolicyRefused as refused:
        return _without(refused, last_good)
    why = f"the policy parameter was read and accepted (digest {policy_digest(stored_text)})"
    return PolicyDecision(policy, "parameter", None, why)


def _without(refused: PolicyRefused, last_good: str | None) -> PolicyDecision:
    """What is in force when the parameter's text is refused."""
    default = default_backups_policy()
    if last_good is None:
        why = "the policy parameter is refused and none was good before: the default is in force"
        return PolicyDecision(default, "default", refused, why)
    try:
        policy = parse_backups_policy(last_good)
    except PolicyRefused:  # written for an older, more lenient version of this program
        why = (
            "the policy parameter is refused, and the last good policy is no longer accepted by"
            " this version: the default is in force"
        )
        return PolicyDecision(default, "default", refused, why)
    why = (
        "the policy parameter is refused: the last good policy stays in force"
        f" (digest {policy_digest(last_good)})"
    )
    return PolicyDecision(policy, "last-good", refused, why)


@cache
def default_backups_policy() -> BackupsPolicy:
    """The policy of an operator who wrote none."""
    return BackupsPolicy.model_validate(DEFAULT_BACKUPS_POLICY)


def policy_digest(text: str) -> str:
    """16 hex digits by which two texts are told apart: of the text, not of its meaning."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@lru_cache(maxsize=4)  # every tick and sweep reads the same text; two are in play while it changes
def parse_backups_policy(text: str) -> BackupsPolicy:
    """Read the operator's JSON. Raises `PolicyRefused` with every problem that it has."""
    problems = list(_problems_of_json(_read_json(text), ()))
    try:
        policy = BackupsPolicy.model_validate_json(text)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problems += _problems(detail)
        raise PolicyRefused(problems) from None
    if problems:
        raise PolicyRefused(problems)
    return policy


# ---------------------------------------------------------------- dangers


def _dangers_of_rpo(plan: Plan) -> Iterator[Problem]:
    rpo, gap = plan.rpo.approximate(), longest_gap(plan.when)
    if rpo < gap:
        yield Problem(
            "rpo",
            f"{plan.rpo} is shorter than the {_hours(gap)} that can pass between two runs of"
            f" {quoted(plan.schedule)} in {plan.zone}, so it would be missed on schedule",
            f'write at least "{_hours(gap)}", better some hours more for the backup to complete,'
            " or run more often",
        )
    if rpo > LONGEST_PAUSE:
        yield Problem(
            "rpo",
            f"{plan.rpo} is longer than {LONGEST_PAUSE.days} days: nobody would be told for years",
            f'write the age at which a missing backup matters, such as "{_hours(2 * gap)}"',
        )


def _dangers_of_retention(plan: Plan) -> Iterator[Problem]:
    reach = _reach(plan.keep, longest_gap(plan.when))
    if reach < plan.rpo.approximate():
        yield Problem(
            "keep",
            f"these rules reach back about {_hours(reach)}, less than the rpo of {plan.rpo}: after"
            " one bad backup there may be none to go back to",
            'keep more, for example "last": 3 or "daily": 14'
            " (tags alone keep no recovery point that is made on schedule)",
        )
    if plan.floor.count < 1:
        yield Problem(
            "floor.count",
            "0 would let the last good recovery point be removed",
            "write 1 or more, or leave the whole floor out for the default of 3",
        )


def _reach(keep: Keep, gap: timedelta) -> timedelta:
    """How far back the rules keep recovery points that are made every `gap`, about."""
    counts = (
        (keep.last, gap),
        (keep.hourly, timedelta(hours=1)),
        (keep.daily, timedelta(days=1)),
        (keep.weekly, timedelta(weeks=1)),
        (keep.monthly, timedelta(days=30)),
        (keep.yearly, timedelta(days=365)),
    )
    spans = (
        keep.within,
        keep.within_hourly,
        keep.within_daily,
        keep.within_weekly,
        keep.within_monthly,
        keep.within_yearly,
    )
    if any(count == ALL for count, _ in counts):
        return timedelta.max
    # No more than 100,000 of anything: a century of hours, and far from overflowing.
    by_count = [min(count, 100_000) * max(period, gap) for count, period in counts]
    return max([*by_count, *(span.approximate() for span in spans if span is not None)])


def _hours(span: timedelta) -> str:
    """A span as a duration that an operator can copy: whole hours, rounded up, or days."""
    hours = -(-span // timedelta(hours=1))
    days, rest = divmod(hours, 24)
    return f"{days}d" if days > 1 and rest == 0 else f"{hours}h"


# ---------------------------------------------------------------- from text to problems


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
        raise PolicyRefused(
            [
                Problem(
                    "policy",
                    f"the text has {size} bytes, more than the {LONGEST_TEXT} of a parameter",
                    "shorten it: leave out what equals the default, and merge plans that are alike",
                )
            ]
        )
    remedy = "write one JSON object; JSON has no comments and no comma after the last item"
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        near = quoted(text[error.pos : error.pos + 40])
        raise PolicyRefused([Problem(place, f"not JSON: {error.msg} at {near}", remedy)]) from None
    except (RecursionError, ValueError):  # nested or a number with digits by the thousand
        raise PolicyRefused([Problem("policy", "not JSON that can be read", remedy)]) from None


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


def _problems(detail: ErrorDetails) -> Iterator[Problem]:
    """The problems behind one error of pydantic."""
    where = tuple(part for part in detail["loc"] if part != "[key]")
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, Dangers):
        for danger in error.problems:
            yield Problem(f"{_place(where)}.{danger.place}", danger.what, danger.remedy)
    elif isinstance(error, ScheduleRefused):
        yield Problem(_place(where), error.what, error.remedy)
    elif detail["type"] == "extra_forbidden":
        yield _unknown_field(where)
    elif detail["type"] == "missing":
        yield Problem(_place(where), "this field is missing", _example(where))
    else:
        yield _bad_value(where, detail)


def _bad_value(where: tuple[str | int, ...], detail: ErrorDetails) -> Problem:
    value = detail["input"]
    what = PLAIN_WORDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "literal_error":
        known = detail.get("ctx", {}).get("expected", "").replace("'", '"')
        what = f"this is not known here: write {known}"
    if isinstance(value, str):
        what = what.replace(repr(value), quoted(value))
    what, _, remedy = what.partition(": ")  # how validators here put the remedy after the fault
    is_shown = "[key]" in detail["loc"] or quoted(value) in what  # a key is in the place already
    if isinstance(value, str | int | float) and not is_shown:
        what = f"{quoted(value)}: {what}"
    return Problem(_place(where), _cut(what), _cut(remedy) or _example(where))


def _unknown_field(where: tuple[str | int, ...]) -> Problem:
    known = sorted(_fields(where[:-1]))
    near = get_close_matches(str(where[-1])[:80], known, n=1)
    remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
    return Problem(_place(where), "this field is not known", remedy)


def _example(where: tuple[str | int, ...]) -> str:
    """The example of the field at this place or, failing that, of the one around it."""
    for end in range(len(where), 0, -1):
        name = str(where[end - 1])
        field = _fields(where[: end - 1]).get(name)
        if field is not None and field.examples:
            return f'write for example "{name}": {json.dumps(field.examples[0])}'
    return 'write one object with "plans"'


def _fields(where: tuple[str | int, ...]) -> dict[str, FieldInfo]:
    """The fields of the model at this place of the policy; none if there is no model."""
    inner: Any = BackupsPolicy
    for part in where:
        if get_origin(inner) is dict:
            inner = get_args(inner)[1]
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
