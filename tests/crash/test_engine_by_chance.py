"""Any mixture of delays, deaths, twins, throttles, stops and deploys; then a good end."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.crash.engine_world import DRILL, MINUTE, MISHAPS, STEPS, World
from watchkeeper.aws.errors import Throttled
from watchkeeper.runs.record import Stop

RENAMED = tuple(replace(one, name="prove") if one.name == "verify" else one for one in STEPS)
DELAYS = st.sampled_from([0, 1, 2, 5, 16, 30, 120, 400]).map(lambda minutes: minutes * MINUTE)
SKEWS = st.sampled_from([-MINUTE, timedelta(0), MINUTE])


class Drill(RuleBasedStateMachine):
    """The world's operators, its neighbours and its bad luck."""

    @initialize(rows=st.sampled_from([0, 10]), copying_fails=st.booleans())
    def begin(self, rows: int, copying_fails: bool) -> None:
        self.world = World(rows=rows, copying_fails=copying_fails)
        self.last = (-1, -1)

    @rule(delay=DELAYS)
    def time_passes(self, delay: timedelta) -> None:
        self.world.live(delay)

    @rule(skew=SKEWS)
    def a_message_is_delivered_again(self, skew: timedelta) -> None:
        self.world.invoke(skew=skew)

    @rule(calls=st.integers(1, 12), mishap=st.sampled_from(MISHAPS), delay=DELAYS)
    def something_goes_wrong(self, calls: int, mishap: str, delay: timedelta) -> None:
        self.world.mishaps[self.world.calls + calls] = mishap
        self.world.live(delay)

    @rule()
    def lambda_forgets_to_retry(self) -> None:
        self.world.retries.clear()

    @rule()
    def an_operator_stops_everything(self) -> None:
        self.world.runs.stop_item = Stop(why="a freeze", by="alice")

    @rule()
    def the_stop_is_lifted(self) -> None:
        self.world.runs.stop_item = None

    @rule()
    def the_topic_refuses(self) -> None:
        self.world.refuse = lambda told: Throttled("sns:Publish", "Throttling", "too many")

    @rule()
    def the_topic_recovers(self) -> None:
        self.world.refuse = lambda told: None

    @precondition(lambda self: self.world.run.step != "teardown")
    @rule(renamed=st.booleans())
    def another_version_is_deployed(self, renamed: bool) -> None:
        self.world.workflow = lambda run: RENAMED if renamed else STEPS

    @rule(broken=st.booleans())
    def the_verifier_breaks_or_is_mended(self, broken: bool) -> None:
        self.world.cloud.verifier_is_broken = broken

    @rule(locked=st.booleans())
    def the_copy_is_locked_or_freed(self, locked: bool) -> None:
        self.world.cloud.is_locked = locked

    @invariant()
    def holds_at_every_moment(self) -> None:
        if not hasattr(self, "world"):
            return
        world, run = self.world, self.world.run
        assert world.cloud.created <= 1, "the copy was made twice"
        assert world.calls_of_the_dead == 0
        order = [*run.steps, None].index(run.step)
        assert (order, run.version) >= self.last, "the run went back"
        self.last = (order, run.version)
        assert len(world.runs.history.get(DRILL, {})) == run.finished
        # Whatever holds it, it is due again: at the end of a lease or of a back-off.
        assert run.is_over or run.wake_at < world.now + timedelta(hours=6, minutes=1)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.mishaps.clear()
        world.runs.stop_item = None
        world.refuse = lambda told: None
        world.workflow = lambda run: STEPS
        world.cloud.is_locked = world.cloud.verifier_is_broken = False
        world.finish()
        run = world.run
        assert (run.is_over, run.lease, run.attempts) == (True, None, 0)
        assert world.cloud.there == [], "something was left behind"
        if run.failure is None:
            assert (run.facts["rows"], world.cloud.created) == ("10", 1)
            assert len(world.news("CopyVerified")) == 1
        else:
            assert len(world.news("RunFailed")) == 1
            assert world.news("RunFailed")[0]["why"] == run.failure


TestDrill = Drill.TestCase
TestDrill.settings = settings(
    max_examples=400,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
