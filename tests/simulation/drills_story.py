"""What goes wrong in the year of drills, and what people do in it.

Drawn from a seed, one trouble a week, and done to the box at its time. Nothing here looks at what
Watchkeeper makes of it; `drills_model.py` says what it should.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Literal

from local.aws import dynamodb_restores, ebs_blocks, ec2_restores, rds_restores, verifiers
from local.cloud import Cloud
from tests.simulation.drills_account import (
    MEMBERS,
    POLICIES,
    REFUSED,
    SIGNS,
    Account,
    come,
    go,
    items,
    put_policy,
)
from tests.simulation.year_story import DAY, WEEK, Stretch
from watchkeeper import naming

HOUR = timedelta(hours=1)

# ── What is drawn ─────────────────────────────────────────────────────────────────────────────────

What = Literal[
    "ticks lost",
    "killed",
    "throttled",
    "events lost",
    "emptied",
    "unrestorable",
    "verifier silent",
    "key disabled",
    "policy refused",
    "not signed",
]
SOMETIMES: dict[What, int] = {
    "ticks lost": 3,
    "killed": 4,
    "throttled": 3,
    "events lost": 1,
    "emptied": 4,
    "unrestorable": 3,
    "verifier silent": 2,
}
"""What a week may bring, by weight; the others have weeks of their own."""
APPOINTED: dict[int, What] = {13: "key disabled", 24: "not signed", 31: "policy refused"}
"""By number of the week, where the year is long enough."""
POLICY_THEN = next(
    policy
    for after, policy in reversed(POLICIES)
    if any(after <= week * WEEK for week, what in APPOINTED.items() if what == "policy refused")
)
"""What is written again in the place of what was refused."""
LASTS: dict[What, timedelta] = {
    "throttled": HOUR,
    "emptied": 6 * DAY,  # every new recovery point: one alone would rarely be chosen
    "unrestorable": 6 * DAY,
    "key disabled": 5 * DAY,
    "not signed": 5 * WEEK,  # somebody is on holiday for long enough
}
"""The others two days, but for ticks."""
BEGINS_LATER: dict[What, timedelta] = {
    "throttled": timedelta(hours=21),  # at nine, when drills are chosen
    "not signed": -2 * WEEK,
}
"""Than noon."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong."""

    what: What
    begins: datetime
    lasts: timedelta
    name: str = ""
    """Of the resource whose recovery points are bad."""
    seed: int = 0

    @property
    def ends(self) -> datetime:
        return self.begins + self.lasts

    def __str__(self) -> str:
        about = f" of {self.name}" if self.name else ""
        lasts = f"for {self.lasts / DAY:.3g} days"
        return f"{self.begins:%Y-%m-%d %H:%M}  {self.what}{about} {lasts}"


def drawn(stretch: Stretch) -> list[Trouble]:
    """One trouble a week, from the second week on."""
    random = Random(stretch.seed)
    found = []
    for week in range(1, stretch.weeks):
        monday = stretch.begins + week * WEEK
        what = APPOINTED.get(week) or random.choices(list(SOMETIMES), list(SOMETIMES.values()))[0]
        found.append(_drawn(what, random, monday + random.randrange(3) * DAY))
    return found


def _drawn(what: What, random: Random, begins: datetime) -> Trouble:
    there = [one for one in MEMBERS if not one.comes]
    able = [one for one in there if one.kind != "table" or what != "unrestorable"]
    return Trouble(
        what,
        begins + BEGINS_LATER.get(what, timedelta(0)),
        random.choice((1, 2, 3, 5)) * DAY if what == "ticks lost" else LASTS.get(what, 2 * DAY),
        random.choice(able).name if what in ("emptied", "unrestorable") else "",
        random.randrange(10**6),
    )


# ── What is done ──────────────────────────────────────────────────────────────────────────────────

Act = Callable[[Account], None]
Happening = tuple[datetime, Act, str]


def appoint(made: Account, stretch: Stretch, troubles: Sequence[Trouble]) -> None:
    """Make an appointment for everything that happens."""
    for at, act, label in (*_troublesome(troubles), *_regular(stretch)):
        if stretch.begins < at <= stretch.ends:
            made.cloud.clock.at(at, partial(_happen, made, act), label)


def _happen(made: Account, act: Act) -> None:
    act(made)
    made.cloud.functions.stir()  # the next tick may find the world changed


def _troublesome(troubles: Iterable[Trouble]) -> Iterator[Happening]:
    for one in troubles:
        yield one.begins, partial(_begin, one), f"{one}"
        yield one.ends, partial(_end, one), f"end of {one}"
        if one.what in ("emptied", "unrestorable"):
            for number in range(one.lasts // DAY):
                # After the night, before the round.
                at = one.begins + number * DAY + timedelta(hours=20)
                yield at, partial(_spoil, one), f"{one}: the newest"


def _regular(stretch: Stretch) -> Iterator[Happening]:
    begins = stretch.begins
    for one in MEMBERS:
        if one.comes:
            yield begins + one.comes, partial(come, one), f"{one.name} comes"
        if one.goes:
            yield begins + one.goes, partial(go, one), f"{one.name} goes"
    for after, policy in POLICIES[1:]:
        text = json.dumps(policy)
        yield begins + after, partial(_put, text), "the policy of drills changes"


def _put(text: str, made: Account) -> None:
    put_policy(made.cloud, "drills", text)


def _begin(trouble: Trouble, made: Account) -> None:
    if act := BEGINNINGS.get(trouble.what):
        act(trouble, made)


def _kill(trouble: Trouble, made: Account) -> None:
    """Three invocations, at any of the calls of some hundred that a day makes."""
    random = Random(trouble.seed)
    for _ in range(3):
        moment: Literal["before", "after"] = random.choice(("before", "after"))
        made.cloud.mischief.kill("DrillRestores", random.randint(1, 900), moment)


def _throttle(_: Trouble, made: Account) -> None:
    for service in ("rds", "ec2", "ebs", "ssm", "kms"):
        made.cloud.mischief.throttle(service, "*")


BEGINNINGS: dict[What, Callable[[Trouble, Account], object]] = {
    "ticks lost": lambda _, made: _switch_ticks(made.cloud, "DISABLED"),
    "killed": _kill,
    "throttled": _throttle,
    "events lost": lambda _, made: made.cloud.mischief.trouble_events(drop=1.0),
    "verifier silent": lambda _, made: verifiers.installed_in(made.cloud).never_answers(),
    "key disabled": lambda _, made: made.cloud.client("kms").disable_key(KeyId=made.key),
    "policy refused": lambda _, made: put_policy(made.cloud, "drills", REFUSED),
}
"""What the others mean is asked for when it matters."""


def _end(trouble: Trouble, made: Account) -> None:
    cloud = made.cloud
    match trouble.what:
        case "ticks lost":
            _switch_ticks(cloud, "ENABLED")
        case "killed" | "throttled" | "events lost":
            cloud.mischief.calm()
            # As its runbook has it: what was given up waits there, until somebody has looked.
            cloud.client("sqs").purge_queue(QueueUrl=cloud.physical_id("DrillRestoresUnhandled"))
        case "verifier silent":
            verifiers.installed_in(cloud)._takes = None
        case "key disabled":
            cloud.client("kms").enable_key(KeyId=made.key)
        case "policy refused":
            put_policy(cloud, "drills", json.dumps(POLICY_THEN))
        case "emptied" | "unrestorable" | "not signed":
            pass


def _switch_ticks(cloud: Cloud, state: str) -> None:
    """What a person does who presses the wrong button of EventBridge Scheduler's console."""
    scheduler = cloud.client("scheduler")
    name = cloud.physical_id("DrillRestoresTick")
    known = scheduler.get_schedule(Name=name)
    wanted = ("ScheduleExpression", "FlexibleTimeWindow", "Target")
    scheduler.update_schedule(Name=name, State=state, **{one: known[one] for one in wanted})


def _spoil(trouble: Trouble, made: Account) -> None:
    """The newest recovery point of the resource turns out to be bad, unless it is known to be."""
    resource = made.arns[trouble.name]
    completed = [
        one for one in items(made.cloud, f"POINT#{resource}") if one["state"] == "completed"
    ]
    newest = max(completed, key=lambda one: str(one["sk"]), default=None)
    if newest is None or newest["id"] in made.damaged:
        return
    for part in newest["parts"]:
        _damage(trouble, resource, str(part["snapshot"]), made.cloud)
    made.damaged[newest["id"]] = (trouble.what, made.cloud.clock.now())


def _damage(trouble: Trouble, resource: str, snapshot: str, cloud: Cloud) -> None:
    service, empties = resource.split(":")[2], trouble.what == "emptied"
    name = snapshot.split(":", 6)[6] if ":rds:" in snapshot else snapshot
    if service == "dynamodb":
        dynamodb_restores.installed_in(cloud).empty(name)
    elif service == "rds":
        restores = rds_restores.installed_in(cloud)
        (restores.empty if empties else restores.fail_restores_of)(name)
    elif empties:
        ebs_blocks.installed_in(cloud).empty(name)
    else:
        ec2_restores.installed_in(cloud).fail_restores_of(name)


def sign(made: Account, troubles: Sequence[Trouble]) -> list[str]:
    """What a person does in the afternoon: sign off the exercises that wait for it; their runs."""
    now = made.cloud.clock.now()
    if any(one.what == "not signed" and one.begins <= now < one.ends for one in troubles):
        return []
    asked = [
        naming.run_id_of(one["pk"])
        for one in items(made.cloud, "RUN#drill#")
        if one["sk"] == "RUN" and one.get("step") == "sign off"
    ]
    for run in asked:
        event = {"trigger": "sign-off", "run": run, "by": SIGNS, "passed": True, "note": "done"}
        made.cloud.invoke("DrillRestores", event)
    return asked
