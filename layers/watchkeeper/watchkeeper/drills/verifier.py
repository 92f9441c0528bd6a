"""Asking what was restored, by way of a verifier: an instance without a way out, which Systems
Manager reaches through interface endpoints that are there only while a drill needs them.

What is to be remembered of one drill's verifier:

    verifier.since      when one was first asked for
    verifier.sending    from here on, the question may have been sent
    verifier.unclear    `yes`: it was, and nothing is known of what became of that
    verifier.command    the id of its command, once known
    verifier.instance   where it runs
    verifier.sent       when that was known
"""

import base64
import gzip
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NoReturn

from watchkeeper import naming
from watchkeeper.aws.errors import Busy, NotThere, OverQuota, Refused, Unclear
from watchkeeper.aws.verifier_commands import (
    BEGINS_WITHIN,
    LONGEST_COMMAND,
    TAKES_AT_MOST,
    State,
    VerifierCommands,
)
from watchkeeper.aws.verifiers import (
    AVAILABLE,
    SERVICES,
    TERMINATED,
    Endpoint,
    Instance,
    VerifierDismantler,
    VerifierMaker,
    Verifiers,
)
from watchkeeper.drills.restoring import Facts, Left, Pending, Restoring
from watchkeeper.quoting import quoted

SCRIPTS = files("watchkeeper.drills") / "scripts"
READY_WITHIN = timedelta(minutes=90)
"""Endpoints take minutes to come, and as long to go first where another drill has just deleted
them; the instance boots in one or two, and is online a minute later; volumes are attached. A run
may look at it but once in six minutes, and each of these is another look.
"""
ANSWERS_WITHIN = BEGINS_WITHIN + TAKES_AT_MOST + timedelta(minutes=15)
"""Systems Manager itself gives up after the first two, and says so a little later."""
LOOK_FOR = timedelta(minutes=10)
"""After so long, a command that is not shown was never made. A look that comes sooner after the
intent to send is the one that was to send: after a killed one the lease lasts longer than that.
"""
CLOCKS = timedelta(minutes=5)
"""How far before the start of its instance a command is looked for: clocks differ."""
SINCE, SENDING, UNCLEAR, COMMAND, INSTANCE, SENT = (
    f"verifier.{name}"
    for name in ("since", "sending", "unclear", "command", "instance", "sent")
)  # fmt: skip
NOT_ONLINE = "InvalidInstanceId"
RUNNING = "running"
UNPACK = (
    "import base64 as b,gzip as g,sys;"
    "s,r=(g.decompress(b.b64decode(a)) for a in sys.argv[1:]);"
    "sys.argv=[sys.argv[0],b.b64encode(r).decode()];"
    "exec(compile(s,'script','exec'))"
)
"""Runs a script as if it were a file, with the request, JSON in base64, as its argument."""

Attach = Callable[[str], str]


@dataclass(frozen=True)
class Told:
    """What a verifier has answered."""

    document: Mapping[str, Any] | None
    """None if it has not: a check that did not pass."""
    why: str = ""
    """Why there is none, in words, with what the instance wrote quoted."""


@dataclass(frozen=True)
class Question:
    """One script, and what it is to look for."""

    script: str
    """Its name in `scripts/`."""
    line: str
    """The one line of shell that carries both; in it, whatever an operator wrote is base64."""
    drill: str

    @property
    def comment(self) -> str:
        """By which its command is found again."""
        return f"{self.script} {self.drill}"


@dataclass(frozen=True)
class Verifier:
    """Answers one question per drill. Every method may be called again after an attempt that nobody
    heard of, and then finds what that one has made.
    """

    making: VerifierMaker
    looking: Verifiers
    asking: VerifierCommands
    removing: VerifierDismantler
    scripts: Traversable = SCRIPTS

    def answer(
        self,
        one: Restoring,
        script: str,
        request: Mapping[str, object],
        facts: Facts,
        now: datetime,
        attach: Attach | None = None,
    ) -> Pending | Told:
        """What `script` tells of what was restored. Ends within three hours, whatever the verifier
        does.

        `attach` is given the instance's id once it runs; what it says must pass before the script
        is sent. Commands are shown to whoever may list them: a request holds no secrets.
        """
        line = command_line((self.scripts / f"{script}.py").read_bytes(), request)
        if len(line) > LONGEST_COMMAND:
            return Told(None, f"the question has {len(line)} characters, {LONGEST_COMMAND} can go")
        facts = {SINCE: naming.instant(now), **facts}
        question = Question(script, line, one.name)
        try:
            report = self._look(one, question, facts, now, attach)
        except (Busy, OverQuota) as passing:
            if isinstance(passing, Busy) and now < _ends_at(facts):
                raise
            report = Pending(f"AWS to do it: {passing}")
        except (NotThere, Refused) as error:
            return Told(None, f"no verifier could be asked: {error}")
        if isinstance(report, Told):
            return report
        facts = {**facts, **report.facts}
        if now >= _ends_at(facts):
            return Told(None, f"no verifier has answered: it still waited for {report.on}")
        return Pending(report.on, {SINCE: facts[SINCE], **report.facts})

    def _look(
        self,
        one: Restoring,
        question: Question,
        facts: Facts,
        now: datetime,
        attach: Attach | None,
    ) -> Pending | Told:
        if COMMAND in facts:
            return self._read(one, facts, now)
        if must_pass := self._make_endpoints(one, now):
            return Pending(must_pass)
        instance = next(iter(self.looking.instances(one.name)), None)
        if instance is None:
            return Pending(f"verifier {self.making.start(one.tags)} to start")
        if instance.is_going:
            return Told(None, f"verifier {instance.id} ended before it was asked")
        if must_pass := self._prepare(instance, attach):
            return Pending(must_pass)
        return self._ask(instance, question, facts, now)

    def _make_endpoints(self, one: Restoring, now: datetime) -> str:
        """What must pass before all are there: empty if they are."""
        there = self.looking.endpoints_in(self.making.isolation.vpc)
        states = {each.service: each.state for each in there}
        for service in SERVICES:
            if service not in states:
                waits = self.making.make_endpoint(service, one.tags, now)
                states[service] = waits or "just made"
        coming = [f"{service} ({state})" for service, state in states.items() if state != AVAILABLE]
        return f"endpoints to be available: {', '.join(sorted(coming))}" if coming else ""

    def _prepare(self, instance: Instance, attach: Attach | None) -> str:
        """What must pass before it can be asked."""
        if instance.state != RUNNING:
            return f"verifier {instance.id} to start"
        if attach and (must_pass := attach(instance.id)):
            return must_pass
        if not self.looking.is_online(instance.id):
            return f"SSM to reach verifier {instance.id}"
        return ""

    def _ask(self, instance: Instance, question: Question, facts: Facts, now: datetime) -> Pending:
        if SENDING not in facts:
            return _intent(instance, now)
        since = instance.started_at - CLOCKS
        if sent := self.asking.sent(instance.id, question.comment, since):
            return _asked(instance, sent[0], now)
        intended_for = now - naming.parse_instant(facts[SENDING])
        if intended_for >= LOOK_FOR:
            return _intent(instance, now)
        if facts.get(UNCLEAR):
            return Pending(f"SSM to show whether verifier {instance.id} was asked")
        return self._send(instance, question, now)

    def _send(self, instance: Instance, question: Question, now: datetime) -> Pending:
        try:
            command = self.asking.send(instance.id, question.line, question.comment)
        except Unclear as unclear:
            why = f"SSM to show whether verifier {instance.id} was asked ({unclear.code})"
            return Pending(why, {UNCLEAR: "yes"})
        except Refused as error:
            if error.code != NOT_ONLINE:
                raise
            return Pending(f"SSM to reach verifier {instance.id}")
        return _asked(instance, command, now)

    def _read(self, one: Restoring, facts: Facts, now: datetime) -> Pending | Told:
        instance = facts[INSTANCE]
        outcome = self.asking.outcome(facts[COMMAND], instance)
        match outcome.state:
            case State.SUCCEEDED:
                return _told(outcome.output)
            case State.FAILED:
                return Told(None, f"the script on verifier {instance} ended: {outcome.why}")
            case State.UNFINISHED:
                # Without them its answer never comes; another drill may have deleted them.
                self._make_endpoints(one, now)
                return Pending(f"verifier {instance} to answer")

    # ── Taking down ───────────────────────────────────────────────────────────────────────────────

    def left(self) -> Sequence[Left]:
        """Endpoints first: so nobody has ended the last verifier before they are being deleted."""
        instances = self.looking.instances()
        return [
            *(
                _left_endpoint(endpoint, drill, instances)
                for endpoint in self.looking.endpoints()
                for drill in heirs(endpoint, instances)
            ),
            *(_left_instance(each) for each in instances if each.state != TERMINATED),
        ]

    def remove(self, left: Left, _now: datetime, /) -> str:
        """Empty if it is being removed, or gone; otherwise what must pass first. Raises Refused of
        what is not a drill's.
        """
        if isinstance(left.thing, Instance):
            self.removing.terminate([left.thing])
        elif left.drill not in heirs(left.thing, self.looking.instances()):
            return "a verifier of another drill needs it"
        else:
            self.removing.delete(left.thing)
        return ""


# ── Waiting ───────────────────────────────────────────────────────────────────────────────────────


def _ends_at(facts: Facts) -> datetime:
    if COMMAND in facts:
        return naming.parse_instant(facts[SENT]) + ANSWERS_WITHIN
    return naming.parse_instant(facts[SINCE]) + READY_WITHIN


def _intent(instance: Instance, now: datetime) -> Pending:
    facts = {SENDING: naming.instant(now), UNCLEAR: ""}
    return Pending(f"verifier {instance.id} to be asked", facts)


def _asked(instance: Instance, command: str, now: datetime) -> Pending:
    facts = {COMMAND: command, INSTANCE: instance.id, SENT: naming.instant(now)}
    return Pending(f"verifier {instance.id} to answer", facts)


# ── Question and answer ───────────────────────────────────────────────────────────────────────────


def command_line(script: bytes, request: Mapping[str, object]) -> str:
    packed = [_packed(script), _packed(json.dumps(request).encode())]
    return shlex.join(["python3", "-c", UNPACK, *packed])


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _told(output: str) -> Told:
    try:
        document = json.loads(output, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return Told(None, f"the verifier answered {quoted(output)}, which is no JSON ({error})")
    if not isinstance(document, dict):
        return Told(None, f"the verifier answered {quoted(output)}, which is no JSON object")
    return Told(document)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON's")


# ── Who has to remove an endpoint ─────────────────────────────────────────────────────────────────


def heirs(endpoint: Endpoint, instances: Sequence[Instance]) -> list[str]:
    """The drills that have to delete an endpoint: nobody while two have verifiers; otherwise
    whoever has the last one, whoever has made the endpoint, and those whose verifiers were started
    when it was there and have ended since, perhaps in the same moment.
    """
    stack = endpoint.tags.get(naming.TAG_STACK)
    ours = [one for one in instances if one.tags.get(naming.TAG_STACK) == stack]
    alive = {one.tags[naming.TAG_DRILL] for one in ours if not one.is_going}
    used = {one.tags[naming.TAG_DRILL] for one in ours if one.started_at >= endpoint.created_at}
    concerned = {endpoint.tags[naming.TAG_DRILL]} | alive | used
    return sorted(drill for drill in concerned if not alive - {drill})


def _left_endpoint(endpoint: Endpoint, drill: str, instances: Sequence[Instance]) -> Left:
    """Nobody may remove it before the drill that needs it has expired."""
    users = [one.tags for one in instances if one.tags[naming.TAG_DRILL] == drill]
    expiries = [naming.expires_at(tags) for tags in (endpoint.tags, *users)]
    return Left(
        what=f"endpoint {endpoint.id} for {endpoint.service}",
        drill=drill,
        stack=endpoint.tags.get(naming.TAG_STACK, ""),
        expires_at=max((at for at in expiries if at), default=None),
        thing=endpoint,
    )


def _left_instance(instance: Instance) -> Left:
    return Left(
        what=f"verifier {instance.id}",
        drill=instance.tags[naming.TAG_DRILL],
        stack=instance.tags.get(naming.TAG_STACK, ""),
        expires_at=naming.expires_at(instance.tags),
        thing=instance,
    )
