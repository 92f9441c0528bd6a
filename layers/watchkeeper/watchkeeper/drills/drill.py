"""What DrillRestores does with a trigger: names the runs that it means, and advances them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watchkeeper import naming, telemetry
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.parameters import Parameters
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.topics import Topics
from watchkeeper.backups import model as backups
from watchkeeper.drills import steps
from watchkeeper.drills.model import CAPABILITY, SignOff
from watchkeeper.policies import Policies
from watchkeeper.quoting import quoted
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.runs.record import new_run
from watchkeeper.schedules import occurrences
from watchkeeper.settings import DrillRestoresSettings
from watchkeeper.triggers import (
    BadTrigger,
    DrillNow,
    DrillRestoresMeant,
    ShowDrills,
    SignOffNow,
    Tick,
    Wake,
)

# Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.drills.drilling import Drilling
    from watchkeeper.drills.policy import DrillsPolicy
    from watchkeeper.policy import BackupsPolicy
    from watchkeeper.policy_text import PolicyDecision

LOOK_BACK = timedelta(days=1)
"""A round that nobody started within a day of its time is left to the next one: what it would have
drilled is due there, too. Records of runs live longer, so that none is started twice.
"""
SHOWN = 20
"""Overdue drills named in a log line; their number is measured."""


def _decide(text: str | None, last_good: str | None) -> "PolicyDecision[DrillsPolicy]":
    from watchkeeper.drills.policy import decide_drills_policy  # noqa: PLC0415 (as above)

    return decide_drills_policy(text, last_good)


class DrillRestores:
    """Proves what can be recovered, and says what is not proved."""

    def __init__(self, settings: DrillRestoresSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)
        self.policies = PolicyTable(settings.table)
        self.policy = Policies(
            CAPABILITY, "drill", _decide,
            Parameters(settings.policy_prefix), self.policies, self.runs,
        )  # fmt: skip

    def handle(
        self, trigger: DrillRestoresMeant, clock: Clock, deadline: datetime
    ) -> dict[str, Any]:
        """Where each run stands afterwards; of `show`, what a round would do."""
        if isinstance(trigger, ShowDrills):
            return self._shown(clock())
        engine = Engine(self.runs, steps.workflow, self.cloud, self.topics.publish, clock, deadline)
        return advance_all(self._meant(trigger, clock()), engine)

    def _meant(self, trigger: Tick | Wake | DrillNow | SignOffNow, now: datetime) -> Iterable[str]:
        match trigger:
            case Tick():
                # Clean-up waits for nothing, not even for a policy that can be read.
                swept = self._start(naming.janitor_id(now), now, workflow="janitor")
                policy, since, told = self.policy.read(now)
                # Counted first: it must be told even if no round can be started.
                self._measure_overdue(policy, now)
                return [*([told] if told else []), *self._start_due(policy, since, now), swept]
            case Wake():
                return trigger.run_ids
            case DrillNow():
                return [self._start_by_hand(trigger, now)]
            case SignOffNow():
                return [self._signed_off(trigger, now)]

    def _shown(self, now: datetime) -> dict[str, Any]:
        """Reads the policy that is in force, and changes nothing."""
        from watchkeeper.drills import choosing  # noqa: PLC0415 (as above)

        choice = choosing.chosen(self.cloud.subjects(), self.cloud, now)
        return {
            "drills": [
                f"{one.resource} at level {one.level.value} from {one.point.id}: {one.why}, "
                f"${one.cost:.2f}"
                for one in choice.drills
            ],
            "estimate_usd": round(choice.estimate, 2),
            "guessed": list(choice.unknown),
            "put_off": [choosing.line(one) for one in choice.put_off],
            "nothing_to_drill": [f"{one.name or one.resource}: {one.why}" for one in choice.failed],
            "shortfalls": [choosing.shortfall(one) for one in choice.findings],
        }

    def _measure_overdue(self, policy: "DrillsPolicy", now: datetime) -> None:
        from watchkeeper.drills.due import overdue  # noqa: PLC0415 (as above)

        subjects = self.cloud.subjects()
        late = overdue(subjects, policy, now, self.cloud.known(subjects))
        telemetry.count("DrillsOverdue", len(late))
        if late:
            shown = [f"{one.name or one.resource}: {one.why}" for one in late[:SHOWN]]
            telemetry.logger.warning("drills overdue", extra={"drills": shown})

    def _start_due(self, policy: "DrillsPolicy", since: datetime, now: datetime) -> list[str]:
        """The round whose time has come; starting it again is refused."""
        after = max(since, now - LOOK_BACK)
        passed = occurrences(policy.when, after, now) if after < now else []
        return [self._start(naming.round_id(at), now) for at in passed[-1:]]

    def _start_by_hand(self, trigger: DrillNow, now: datetime) -> str:
        facts = {"resource": trigger.resource, "level": trigger.level}
        if trigger.point:
            facts["point"] = trigger.point
        if trigger.anew:
            facts["anew"] = "yes"
        name = naming.by_hand_id("drill", trigger.request_id)
        return self._start(name, now, **facts)

    def _signed_off(self, trigger: SignOffNow, now: datetime) -> str:
        """Raises BadTrigger for who may not sign: the policy says who may. And for what does not
        wait for it: a slip in the name would be found out only when the exercise has failed.
        """
        from watchkeeper.drills.exercise import SIGN_OFF  # noqa: PLC0415 (as above)

        may = self.policy.in_force().sign_off
        if trigger.by not in may:
            raise BadTrigger(
                f"{quoted(trigger.by)} may not sign off an exercise; the policy of drills lets "
                f"{', '.join(may) or 'nobody'}"
            )
        exercise = self.runs.find(trigger.run)
        if exercise is None or exercise.step != SIGN_OFF:
            raise BadTrigger(
                f"{quoted(trigger.run, 200)} is no exercise that waits to be signed off: not yet, "
                "or not any more"
            )
        signed = SignOff(trigger.by, trigger.passed, trigger.note, now)
        self.cloud.drills.sign(trigger.run, signed)
        return trigger.run

    def _start(self, run_id: str, now: datetime, **facts: str) -> str:
        table = steps.table(facts.get("workflow", ""))
        self.runs.start(new_run(run_id, table, now, **facts))
        return run_id

    def _backups_policy(self) -> "BackupsPolicy | None":
        """The last that TakeBackups accepted; None before it has read one."""
        from watchkeeper.policy import decide_policy  # noqa: PLC0415 (as above)

        good = self.policies.last_good(backups.CAPABILITY)
        return decide_policy(good.get("text"), None).policy if good else None

    @cached_property
    def cloud(self) -> "Drilling":
        """Its adapters and kinds are half of a cold start: put together by what needs them."""
        from watchkeeper.drills.composed import drilling_in  # noqa: PLC0415 (as above)

        return drilling_in(self.settings, self.runs, self.policy, self._backups_policy)
