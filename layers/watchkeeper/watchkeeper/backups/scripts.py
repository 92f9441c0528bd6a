"""Scripts around a recovery point of one instance: frozen, taken, thawed again.

A freeze that goes wrong costs the application's consistency, never the recovery point; and says so.
Whatever may have been frozen is thawed: soon if that can be, and otherwise for as long as it takes.

SendCommand has neither token nor name. The pre script is sent once: after an attempt of which
nothing is known its command is looked for, and one that is not found is not sent again, because a
second freeze may wait for ever for the first, or hold on after the one thaw that it gets. The post
script may be sent again, because an instance that stands still is worse than a thaw too many.

What the steps know of each script is in the run's facts:

    script_instance   whose scripts they are
    freeze_asked_at   from here on, the pre script may have been sent
    freeze_doubt      what was in doubt before that (see `_in_doubt`), or `unanswered`
    freeze_sent_at    when it was, once that is known
    freeze_command    the id of its command, once known
    freeze            `over` when it runs no more, `never` if it has never run
    consistency       `application`, or `crash-consistent only: ` and why
    thaw_tries        how often the post script was to be sent
    thaw_asked_at, thaw_doubt, thaw_command: of the last try; `refused` if it made no command
    thaw_early        commands of post scripts sent while the pre script may still have run
    thaw_failed       a post script has failed, and may have thawed a part
    thawed            how it ended; empty while the instance may be frozen
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from watchkeeper import naming
from watchkeeper.aws.catalogue import TargetTable
from watchkeeper.aws.errors import Busy, NotThere, Refused, Unclear
from watchkeeper.aws.scripts import POST, PRE, Outcome, Scripts, Sent, State
from watchkeeper.backups.model import APPLICATION
from watchkeeper.news.scripts import PostScriptFailed
from watchkeeper.runs.record import Done, Report, Run, Waiting

CRASH_CONSISTENT = "crash-consistent only: "
"""What the fact `consistency` begins with where it is not `APPLICATION`."""
LOOK_AGAIN = timedelta(seconds=30)
"""The event of a script's end wakes the run; where it is lost, the next minute's sweep does."""
CLOCKS = timedelta(minutes=5)
"""How far before our own time a command is looked for: clocks of two machines differ."""
PRE_BEGINS_WITHIN = timedelta(seconds=30)
"""The least that SendCommand takes. A pre script that comes late freezes after everybody has
stopped waiting for it.
"""
POST_BEGINS_WITHIN = timedelta(hours=1)
"""A post script that cannot be delivered waits for the instance's agent: it thaws the moment that
the agent is back.
"""
SEND_WITHIN = timedelta(minutes=5)
"""How long SendCommand may be throttled before the recovery point is taken without it."""
SHOWN_WITHIN = timedelta(minutes=1)
"""How long a command without an answer is looked for: the instance may stand still for as long."""
LOOK_FOR = timedelta(minutes=10)
"""After so long, a command that is not shown was never made."""
PROMPTLY = timedelta(minutes=10)
"""How long the thaw holds up the reading back: time for four tries, after pauses of one, two and
four minutes.
"""
TRY = timedelta(minutes=2)
"""Of the post script: sent, run, and looked at by the sweep's next minutes."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
"""As long as an undelivered post script waits: there is always one on its way, or one soon."""
THAWED_ALREADY = frozenset({203, 205})
"""The exit codes by which the documents of Data Lifecycle Manager say that their own timer has
thawed the instance, or that it was not frozen.
https://docs.aws.amazon.com/ebs/latest/userguide/automate-app-consistent-backups.html
"""
UNANSWERED, REFUSED = "unanswered", "refused"
OVER, NEVER = "over", "never"
NO_FACTS: Mapping[str, str] = MappingProxyType({})


class Scripting(Protocol):
    """What these steps act on."""

    @property
    def scripts(self) -> Scripts: ...
    @property
    def targets(self) -> TargetTable: ...


# ── Freezing ──────────────────────────────────────────────────────────────────────────────────────


def ensure_frozen(run: Run, cloud: Scripting, now: datetime) -> Report:
    """Run the pre script. Whatever goes wrong, the recovery point is taken: this never fails.

    It takes at most `SEND_WITHIN`, `SHOWN_WITHIN`, `PRE_BEGINS_WITHIN` and the script's own time,
    and a minute or so for the looks in between.
    """
    if "freeze_asked_at" not in run.facts:
        [target] = cloud.targets.of(run.facts["night"], int(run.facts["shard"]))
        facts = {
            "script_instance": naming.ec2_id(target.arn),
            "freeze_asked_at": naming.instant(now),
            "freeze_doubt": _doubt(run),
        }
        return Waiting("the pre script to be sent", until=now, facts=facts)
    try:
        if command := run.facts.get("freeze_command"):
            return _await_freeze(run, cloud, now, command)
        if _in_doubt(run, "freeze"):
            return _look_for_freeze(run, cloud, now)
        return _send_freeze(run, cloud, now)
    except Busy as busy:
        if now < _freeze_ends_by(run):
            raise
        return _crash_consistent(f"no word of the pre script: {busy}")
    except (NotThere, Refused) as error:
        return _crash_consistent(f"no word of the pre script: {error}")


def _send_freeze(run: Run, cloud: Scripting, now: datetime) -> Report:
    if now >= naming.parse_instant(run.facts["freeze_asked_at"]) + SEND_WITHIN:
        return _crash_consistent(f"SSM took no command for {SEND_WITHIN}", NEVER)
    try:
        command = _send(run, cloud, PRE, PRE_BEGINS_WITHIN)
    except Unclear as unclear:
        why = f"SSM to show whether it took the pre script ({unclear.code})"
        facts = {"freeze_doubt": UNANSWERED, "freeze_sent_at": naming.instant(now)}
        return Waiting(why, until=now + LOOK_AGAIN, facts=facts)
    except (NotThere, Refused) as error:
        return _crash_consistent(str(error), NEVER)
    facts = {"freeze_command": command, "freeze_sent_at": naming.instant(now)}
    return Waiting("the pre script to end", until=now + LOOK_AGAIN, facts=facts)


def _look_for_freeze(run: Run, cloud: Scripting, now: datetime) -> Report:
    if command := _first_freeze(run, cloud):
        return Waiting("the pre script to end", until=now, facts={"freeze_command": command})
    if now < _freeze_sent_by(run) + SHOWN_WITHIN:
        return Waiting("SSM to show whether it took the pre script", until=now + LOOK_AGAIN)
    return _crash_consistent("an attempt to send the pre script has left no trace")


def _await_freeze(run: Run, cloud: Scripting, now: datetime, command: str) -> Report:
    outcome = cloud.scripts.outcome(command, run.facts["script_instance"])
    match outcome.state:
        case State.SUCCEEDED:
            return Done({"freeze": OVER, "consistency": APPLICATION})
        case State.FAILED:
            return _crash_consistent(f"the pre script failed: {outcome.why}", OVER)
        case State.NEVER_RAN:
            return _crash_consistent(f"the pre script never ran: {outcome.why}", NEVER)
        case State.UNFINISHED if now < _freeze_ends_by(run):
            return Waiting("the pre script to end", until=now + LOOK_AGAIN)
        case State.UNFINISHED:
            return _crash_consistent(f"the pre script took longer than {_timeout(run)}")


def _freeze_sent_by(run: Run) -> datetime:
    """Later than this, no pre script is sent."""
    if sent_at := run.facts.get("freeze_sent_at"):
        return naming.parse_instant(sent_at)
    return naming.parse_instant(run.facts["freeze_asked_at"]) + SEND_WITHIN


def _freeze_ends_by(run: Run) -> datetime:
    return _freeze_sent_by(run) + SHOWN_WITHIN + PRE_BEGINS_WITHIN + _timeout(run)


def _crash_consistent(why: str, freeze: str = "") -> Done:
    return Done({"freeze": freeze, "consistency": CRASH_CONSISTENT + why})


# ── Thawing ───────────────────────────────────────────────────────────────────────────────────────


def ensure_thawed(run: Run, cloud: Scripting, now: datetime) -> Report:
    """Run the post script, if the pre script may have run. What cannot be thawed soon is told to
    people and left to `ensure_thawed_for_good`: the recovery point must be read back meanwhile.
    """
    try:
        report = _thaw(run, cloud, now)
    except Busy as busy:
        if now < _thaw_is_late_at(run, run.facts):
            raise
        report = Waiting(str(busy))
    if isinstance(report, Done):
        return report
    late_at = _thaw_is_late_at(run, {**run.facts, **report.facts})
    if now < late_at:
        return replace(report, until=min(report.until or late_at, late_at))
    told = PostScriptFailed.about(
        run,
        at=now,
        plan=run.facts["plan"],
        instance=run.facts["script_instance"],
        document=run.facts["script_document"],
        execution_id=cloud.scripts.execution_id(run.id),
        why=f"waited {PROMPTLY} for {report.on}",
    )
    return Done({**report.facts, "thawed": ""}, news=[told])


def _thaw_is_late_at(run: Run, facts: Mapping[str, str]) -> datetime:
    """A try that has only begun is waited for: an invocation may have been cut off for so long."""
    begun_at = naming.parse_instant(facts["thaw_asked_at"])
    return max(run.entered_at + PROMPTLY, begun_at + TRY)


def ensure_thawed_for_good(run: Run, cloud: Scripting, now: datetime) -> Report:
    """Done if the instance is thawed or gone; tries again until then, however long that takes."""
    return Done() if run.facts.get("thawed") else _thaw(run, cloud, now)


def _thaw(run: Run, cloud: Scripting, now: datetime) -> Done | Waiting:
    if "freeze_asked_at" not in run.facts or run.facts.get("freeze") == NEVER:
        return Done({"thawed": "the pre script never ran"})
    if "thaw_asked_at" not in run.facts:
        return _intend_to_thaw(run, now)
    try:
        return _try_to_thaw(run, cloud, now)
    except (NotThere, Refused) as error:
        return Waiting(f"word of the post script: {error}", until=now + LOOK_AGAIN)


@dataclass(frozen=True)
class _Post:
    command: str
    by_hand: bool
    outcome: Outcome

    @property
    def was_thawed_already(self) -> bool:
        return self.outcome.code in THAWED_ALREADY


def _posts(run: Run, cloud: Scripting) -> list[_Post]:
    """The post scripts sent for this run, by us or by hand, oldest first. Those before the last try
    have been judged: it was begun because none of them had thawed the instance.
    """
    since = naming.parse_instant(run.facts["thaw_asked_at"]) - CLOCKS
    sent = cloud.scripts.sent(run.facts["script_document"], POST, run.id, since)
    last = run.facts["thaw_command"]
    if last not in ("", REFUSED, *(one.id for one in sent)):  # lists lag behind the answer
        sent.append(Sent(last))
    instance = run.facts["script_instance"]
    return [_Post(one.id, one.by_hand, cloud.scripts.outcome(one.id, instance)) for one in sent]


def _try_to_thaw(run: Run, cloud: Scripting, now: datetime) -> Done | Waiting:
    try:
        posts = _posts(run, cloud)
        freeze = run.facts.get("freeze") or _freeze_now(run, cloud, now)
    except (Busy, NotThere, Refused):
        if run.facts["thaw_command"]:
            raise
        # What cannot be looked at may stand still all the same: this try is sent unseen.
        return _send_thaw(run, cloud, now, "", NO_FACTS)
    if run.facts.get("freeze"):
        return _judge(run, cloud, now, posts)
    if freeze == NEVER:
        return Done({"freeze": NEVER, "thawed": "the pre script never ran"})
    if freeze == OVER:  # what was thawed before may have been frozen since
        early = " ".join(post.command for post in posts)
        return _intend_to_thaw(run, now, {"freeze": OVER, "thaw_early": early})
    return _judge(run, cloud, now, posts)


def _judge(run: Run, cloud: Scripting, now: datetime, posts: Sequence[_Post]) -> Done | Waiting:
    """Whether these post scripts have thawed the instance, and if not, what comes next."""
    is_over = run.facts.get("freeze") == OVER
    early = run.facts.get("thaw_early", "").split()
    counting = [post for post in posts if post.command not in early]
    if is_over and (done := _thawed_by(run, counting)):
        return done
    if any(post.outcome.state is State.UNFINISHED for post in posts):
        return Waiting("the post script to end", until=now + LOOK_AGAIN)
    if not is_over and any(post.outcome.state is State.SUCCEEDED for post in posts):
        return Waiting("the pre script to end, and another thaw", until=now + LOOK_AGAIN)
    failed = is_over and any(post.outcome.code for post in counting)
    why = f": the last ended {posts[-1].outcome.why}" if posts else ""
    return _send_thaw(run, cloud, now, why, {"thaw_failed": "yes"} if failed else NO_FACTS)


def _send_thaw(
    run: Run, cloud: Scripting, now: datetime, why: str, facts: Mapping[str, str]
) -> Done | Waiting:
    """The next try: intended, sent, or not yet due."""
    if not run.facts["thaw_command"]:
        if not _in_doubt(run, "thaw"):
            return _send_intended(run, cloud, now)
        shown_by = naming.parse_instant(run.facts["thaw_asked_at"]) + SHOWN_WITHIN
        if now < shown_by:
            return Waiting("SSM to show whether it took the post script", until=now + LOOK_AGAIN)
    if now < _next_try(run):
        return Waiting(f"another try of the post script{why}", _next_try(run), facts)
    return _intend_to_thaw(run, now, facts)


def _intend_to_thaw(run: Run, now: datetime, facts: Mapping[str, str] = NO_FACTS) -> Waiting:
    intent = {
        "thaw_asked_at": naming.instant(now),
        "thaw_doubt": _doubt(run),
        "thaw_command": "",
        "thaw_tries": str(int(run.facts.get("thaw_tries", "0")) + 1),
    }
    return Waiting("the post script to be sent", until=now, facts={**facts, **intent})


def _send_intended(run: Run, cloud: Scripting, now: datetime) -> Done | Waiting:
    try:
        command = _send(run, cloud, POST, POST_BEGINS_WITHIN)
    except Unclear as unclear:
        why = f"SSM to show whether it took the post script ({unclear.code})"
        return Waiting(why, until=now + LOOK_AGAIN, facts={"thaw_doubt": UNANSWERED})
    except (NotThere, Refused) as error:
        if cloud.scripts.is_gone(run.facts["script_instance"]):
            return Done({"thawed": "the instance is gone"})
        why, facts = f"another try of the post script: {error}", {"thaw_command": REFUSED}
        return Waiting(why, until=_next_try(run), facts=facts)
    facts = {"thaw_command": command}
    return Waiting("the post script to end", until=now + LOOK_AGAIN, facts=facts)


def _thawed_by(run: Run, posts: Sequence[_Post]) -> Done | None:
    """The end of it, if one of these has thawed the instance."""
    if any(post.outcome.state is State.SUCCEEDED for post in posts):
        return Done({"thawed": "by the post script"})
    if any(post.by_hand and post.was_thawed_already for post in posts):
        return Done({"thawed": "by somebody who has had it looked at"})
    # Of ours only the first that ran is believed: after one that failed half-way, a part may be
    # thawed and a part frozen.
    first = next((post for post in posts if post.outcome.code), None)
    if first is None or not first.was_thawed_already or "thaw_failed" in run.facts:
        return None
    why = f"thawed before the post script: {first.outcome.why}"
    facts = {"thawed": why}
    if run.facts.get("consistency") == APPLICATION:
        facts["consistency"] = CRASH_CONSISTENT + why
    return Done(facts)


def _freeze_now(run: Run, cloud: Scripting, now: datetime) -> str:
    """Whether the pre script, of which nobody had heard, still runs; empty if that is not known."""
    command = run.facts.get("freeze_command") or _first_freeze(run, cloud)
    if not command:
        return NEVER if now >= _freeze_sent_by(run) + LOOK_FOR else ""
    match cloud.scripts.outcome(command, run.facts["script_instance"]).state:
        case State.NEVER_RAN:
            return NEVER
        case State.UNFINISHED:
            return ""
        case State.SUCCEEDED | State.FAILED:
            return OVER


def _next_try(run: Run) -> datetime:
    """Each pause is twice as long as the one before; ten doublings are far past the longest."""
    tries = int(run.facts.get("thaw_tries", "0"))
    pause = min(FIRST_PAUSE * (1 << min(max(tries - 1, 0), 10)), LONGEST_PAUSE)
    return naming.parse_instant(run.facts["thaw_asked_at"]) + pause


# ── Both ──────────────────────────────────────────────────────────────────────────────────────────


def _send(run: Run, cloud: Scripting, word: str, begin_within: timedelta) -> str:
    document, instance = run.facts["script_document"], run.facts["script_instance"]
    return cloud.scripts.send(document, instance, word, run.id, begin_within)


def _first_freeze(run: Run, cloud: Scripting) -> str:
    since = naming.parse_instant(run.facts["freeze_asked_at"]) - CLOCKS
    found = cloud.scripts.sent(run.facts["script_document"], PRE, run.id, since)
    return found[0].id if found else ""


def _doubt(run: Run) -> str:
    return naming.instant(run.unclear_since) if run.unclear_since else ""


def _in_doubt(run: Run, script: str) -> bool:
    """Whether an attempt at sending was left without an answer, or was cut off, since it was
    intended.
    """
    return run.facts[f"{script}_doubt"] != _doubt(run)


def _timeout(run: Run) -> timedelta:
    return timedelta(seconds=int(run.facts["script_timeout"]))
