"""A verifier asked through its adapters, in the box: asserted on what is there, and was asked."""

from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local.aws import ec2, ec2_restores, ssm_commands, verifiers
from local.pace import Pace
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.errors import Refused, Throttled
from watchkeeper.aws.verifier_commands import VerifierCommands
from watchkeeper.aws.verifiers import (
    SERVICES,
    Instance,
    Isolation,
    VerifierDismantler,
    VerifierMaker,
    Verifiers,
)
from watchkeeper.backups.model import Kind, Place, RecoveryPoint
from watchkeeper.backups.model import State as PointState
from watchkeeper.drills.model import Level
from watchkeeper.drills.restoring import Pending, Restoring
from watchkeeper.drills.verifier import Told, Verifier

SECOND, MINUTE, HOUR = (timedelta(**{name: 1}) for name in ("seconds", "minutes", "hours"))
PACE = Pace(command_takes=5 * SECOND, hidden_for=20 * SECOND)
SCRIPT = "count_rows"
REQUEST = {"query": 'select count(*) from "o\'rders"; $(reboot) `reboot` {{ ssm:secret }}'}
FOUND = {"rows": 7}
EXPIRES = TWO_O_CLOCK + 12 * HOUR


class Box(ServiceBox):
    @property
    def verifiers(self) -> verifiers.Verifiers:
        return verifiers.installed_in(self)

    @property
    def commands(self) -> ssm_commands.Commands:
        return ssm_commands.installed_in(self)

    def endpoints(self) -> list[str]:
        """Services and states, as EC2 shows them."""
        found = self.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        return sorted(f"{one['ServiceName'].split('.')[-1]} {one['State']}" for one in found)

    def instances(self) -> list[str]:
        """The states of all that were started within the last hour."""
        found = self.client("ec2").describe_instances()["Reservations"]
        return [one["State"]["Name"] for some in found for one in some["Instances"]]


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, ec2, ec2_restores, ssm_commands, verifiers, pace=PACE) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.verifiers.answering[SCRIPT] = lambda _box, request, _instance: (
            (0, '{"rows": 7}') if request == REQUEST else (1, "")
        )
        yield box


@pytest.fixture
def verifier(box: Box, tmp_path: Path) -> Verifier:
    aws = box.client("ec2")
    vpc = aws.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    groups = [
        aws.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]
        for name in ("verifier", "endpoint")
    ]
    box.client("iam").create_instance_profile(InstanceProfileName="verifier")
    (tmp_path / f"{SCRIPT}.py").write_text("print('{}')")
    there = Isolation(
        "123456789012", vpc, subnet, groups[0], groups[1], "verifier", "ami-1", "t4g.small"
    )
    return Verifier(
        VerifierMaker(there), Verifiers(), VerifierCommands(), VerifierDismantler(), tmp_path
    )


@pytest.fixture
def drill(box: Box, verifier: Verifier) -> "Drill":
    return Drill(box, verifier)


class Drill:
    """One drill that asks its verifier minute by minute, and takes down what it has made."""

    def __init__(self, box: Box, verifier: Verifier, resource: str = "orders") -> None:
        self.box, self.verifier = box, verifier
        run = f"drill#{resource}#2026-11-23T02:00Z"
        self.name = naming.drill_name("watchkeeper", run)
        self.tags = naming.drill_tags("watchkeeper", run, EXPIRES)
        self.facts: dict[str, str] = {}
        self.waits: list[str] = []

    def look(self, **more: Any) -> Pending | Told:
        report = self.verifier.answer(
            _restoring(self.name, self.tags), SCRIPT, REQUEST, self.facts, self.now, **more
        )
        if isinstance(report, Pending):
            self.facts |= report.facts
            self.waits.append(report.on)
        return report

    def asks(self, every: timedelta = MINUTE, **more: Any) -> Told:
        """The answer, and whatever time that takes."""
        for _ in range(24 * 60):
            if isinstance(report := self.look(**more), Told):
                return report
            self.box.clock.run_for(every)
        raise AssertionError(f"no answer in a day: {self.waits[-1]}")

    def asks_until(self, word: str) -> None:
        while word not in (self.waits or [""])[-1]:
            assert isinstance(self.look(), Pending)
            self.box.clock.run_for(MINUTE)

    def dismantle(self) -> None:
        """As the step does it: until nothing is found, twice."""
        empty = 0
        while empty < 4:
            mine = [one for one in self.verifier.left() if one.drill == self.name]
            for one in mine:
                self.verifier.remove(one, self.now)
            empty = 0 if mine else empty + 1
            self.box.clock.run_for(MINUTE)

    @property
    def now(self) -> datetime:
        return self.box.clock.now()


def _restoring(name: str, tags: Mapping[str, str]) -> Restoring:
    orders = "arn:aws:rds:us-east-1:123456789012:db:orders"
    place = Place("123456789012", REGION)
    point = RecoveryPoint(
        orders, "0f2a", Kind.DATABASE, TWO_O_CLOCK, "run", "gold", place, PointState.COMPLETED
    )
    return Restoring(name, point, None, Level.CHECK, tags, HOUR)


AVAILABLE = [f"{service} available" for service in SERVICES]


# --- asking -----------------------------------------------------------------------------------


def test_a_question_is_answered_and_nothing_is_left(box: Box, drill: Drill) -> None:
    attached: list[str] = []

    def attach(instance_id: str) -> str:
        assert box.instances() == ["running"]
        attached.append(instance_id)
        return "" if len(attached) > 1 else "volume vol-1 to attach"

    assert drill.asks(attach=attach) == Told(FOUND)
    assert box.endpoints() == AVAILABLE
    [(script, instance)] = box.verifiers.asked
    assert (script, set(attached)) == (SCRIPT, {instance})
    assert "volume vol-1 to attach" in drill.waits
    assert drill.now - TWO_O_CLOCK < 10 * MINUTE
    left = drill.verifier.left()
    assert {(one.drill, one.stack, one.expires_at) for one in left} == {
        (drill.name, "watchkeeper", EXPIRES)
    }
    assert left[-1].what == f"verifier {instance}"
    drill.dismantle()
    assert (box.endpoints(), box.instances()) == ([], ["terminated"])
    assert drill.verifier.left() == []


def test_looks_may_be_minutes_apart(box: Box, drill: Drill) -> None:
    """As long as a step waits between two of them, and the sweep's minute."""
    assert drill.asks(every=6 * MINUTE) == Told(FOUND)
    assert len(box.commands.sent) == 1


def test_a_verifier_has_no_way_out_and_ends_by_itself(box: Box, drill: Drill) -> None:
    drill.asks_until("to start")
    aws, there = box.client("ec2"), drill.verifier.making.isolation
    [[shown]] = [one["Instances"] for one in aws.describe_instances()["Reservations"]]
    assert "PublicIpAddress" not in shown
    assert "KeyName" not in shown
    assert shown["SubnetId"] == there.subnet
    [interface] = shown["NetworkInterfaces"]
    assert [one["GroupId"] for one in interface["Groups"]] == [there.verifier_group]
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    wanted = {"InstanceId": shown["InstanceId"]}
    ends = aws.describe_instance_attribute(Attribute="instanceInitiatedShutdownBehavior", **wanted)
    assert ends["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    told = aws.describe_instance_attribute(Attribute="userData", **wanted)["UserData"]["Value"]
    assert "shutdown -P +240" in b64decode(told).decode()
    for endpoint in aws.describe_vpc_endpoints()["VpcEndpoints"]:
        assert endpoint["PrivateDnsEnabled"]
        assert [one["GroupId"] for one in endpoint["Groups"]] == [there.endpoint_group]
        assert {one["Key"]: one["Value"] for one in endpoint["Tags"]} == drill.tags


def test_a_verifier_that_everybody_has_forgotten_ends(box: Box, drill: Drill) -> None:
    drill.asks()
    box.clock.run_for(3 * HOUR)
    assert box.instances() == ["running"]
    box.clock.run_for(HOUR + MINUTE)
    assert box.instances() == ["terminated"]
    left = drill.verifier.left()
    assert {one.what.split()[0] for one in left} == {"endpoint"}
    assert {one.expires_at for one in left} == {EXPIRES}
    assert [drill.verifier.remove(one, drill.now) for one in left] == ["", "", ""]
    box.clock.run_for(5 * MINUTE)
    assert drill.verifier.left() == []


def test_an_operators_own_endpoint_is_used_and_stays(box: Box, drill: Drill) -> None:
    there = drill.verifier.making.isolation
    box.client("ec2").create_vpc_endpoint(
        VpcId=there.vpc, VpcEndpointType="Interface", ServiceName=f"com.amazonaws.{REGION}.ssm"
    )
    assert drill.asks() == Told(FOUND)
    drill.dismantle()
    assert box.endpoints() == ["ssm available"]


Unkind = Callable[[verifiers.Verifiers], None]


@pytest.mark.parametrize(
    ("unkind", "why", "hours"),
    [
        (lambda box: setattr(box, "never_online", True), "SSM to reach verifier i-", 1.6),
        (lambda box: box.never_answers(), "ended: ExecutionTimedOut", 1.5),
        (lambda box: box.fails(3, "no \x1b[1mroom"), 'exit code 3, stderr "no \\u001b[1mroom"', 1),
        (lambda box: box.answers_garbage("<html>"), 'answered "<html>", which is no JSON', 1),
        (lambda box: box.answers_garbage("[7]"), "which is no JSON object", 1),
        (lambda box: box.answers_garbage(""), 'answered "", which is no JSON', 1),
        (lambda box: box.answers_garbage('{"rows": NaN}'), "NaN is no number", 1),
        (lambda box: box.answers_garbage("[" * 20_000), "which is no JSON", 1),
        (lambda box: box.answers_garbage(f'{{"a": "{"x" * 24_000}"}}'), "which is no JSON", 1),
    ],
)  # fmt: skip
def test_no_answer_is_told_in_words_and_in_time(
    box: Box, drill: Drill, unkind: Unkind, why: str, hours: float
) -> None:
    unkind(box.verifiers)
    told = drill.asks()
    assert told.document is None
    assert why in told.why
    assert drill.now - TWO_O_CLOCK < hours * HOUR
    drill.dismantle()
    assert drill.verifier.left() == []


def test_what_cannot_be_made_or_sent_is_told(box: Box, drill: Drill) -> None:
    request = {"noise": box.random.randbytes(40_000).hex()}
    told = drill.verifier.answer(_restoring(drill.name, drill.tags), SCRIPT, request, {}, drill.now)
    assert isinstance(told, Told)
    assert "60000 can go" in told.why
    assert box.endpoints() == []
    told = drill.verifier.answer(_restoring("orders", {}), SCRIPT, REQUEST, {}, drill.now)
    assert isinstance(told, Told)
    assert "NotOurs" in told.why


def test_a_verifier_that_was_ended_is_not_started_again(box: Box, drill: Drill) -> None:
    drill.asks_until("SSM to reach")
    drill.verifier.removing.terminate(drill.verifier.looking.instances())
    assert "ended before it was asked" in drill.asks().why
    assert box.instances() == ["shutting-down"]


def test_an_agent_that_is_lost_for_a_while_is_waited_for(box: Box, drill: Drill) -> None:
    """Systems Manager shows for some minutes that it is online when it is not."""
    drill.asks_until("to be asked")
    [instance] = drill.verifier.looking.instances()
    connection = drill.verifier.asking.once.meta.events

    def lose(**_: Any) -> None:
        box.commands.unmanaged.add(instance.id)

    connection.register("before-call", lose)
    for _ in range(3):
        assert drill.look() == Pending(f"SSM to reach verifier {instance.id}", since(TWO_O_CLOCK))
        box.clock.run_for(MINUTE)
    connection.unregister("before-call", lose)
    box.commands.unmanaged.clear()
    assert drill.asks() == Told(FOUND)


def since(at: datetime) -> dict[str, str]:
    return {"verifier.since": naming.instant(at)}


def test_a_full_account_is_waited_for_and_a_busy_one_too_but_not_for_ever(
    box: Box, drill: Drill
) -> None:
    code = "VcpuLimitExceeded"

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "later"}}, "RunInstances")

    drill.verifier.making.client.meta.events.register("before-call.ec2.RunInstances", refuse)
    drill.asks_until(code)
    code = "RequestLimitExceeded"
    with pytest.raises(Throttled):
        drill.look()
    assert box.instances() == []
    box.clock.run_for(2 * HOUR)
    assert code in drill.asks().why
    code = "InvalidAMIID.NotFound"
    drill.facts.clear()
    assert drill.asks().why.startswith("no verifier could be asked: ec2:RunInstances answered")
    drill.dismantle()
    assert drill.verifier.left() == []


# --- two drills, one set of endpoints ---------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_endpoints_are_shared_and_go_with_the_last_drill(
    box: Box, verifier: Verifier, first: int
) -> None:
    drills = [Drill(box, verifier, "orders"), Drill(box, verifier, "ledger")]
    assert [one.asks() for one in drills] == [Told(FOUND), Told(FOUND)]
    assert box.endpoints() == AVAILABLE
    drills[first].dismantle()
    assert box.endpoints() == AVAILABLE
    assert sorted(box.instances()) == ["running", "terminated"]
    drills[1 - first].dismantle()
    assert (box.endpoints(), verifier.left()) == ([], [])


def test_drills_that_end_in_the_same_moment_leave_no_endpoint(box: Box, verifier: Verifier) -> None:
    drills = [Drill(box, verifier, "orders"), Drill(box, verifier, "ledger")]
    for one in drills:
        one.asks()
    seen = verifier.left()
    assert not [one for one in seen if one.what.startswith("endpoint")]
    for left in seen:
        verifier.remove(left, box.clock.now())
    drills[1].dismantle()
    assert (box.endpoints(), verifier.left()) == ([], [])


def test_what_was_seen_before_another_drill_began_is_not_deleted_under_it(
    box: Box, verifier: Verifier
) -> None:
    ending, beginning = Drill(box, verifier, "orders"), Drill(box, verifier, "ledger")
    ending.asks()
    seen = verifier.left()
    beginning.asks_until("to start")
    waits = {one.what.split()[0]: verifier.remove(one, ending.now) for one in seen}
    assert waits == {"endpoint": "a verifier of another drill needs it", "verifier": ""}
    assert box.endpoints() == AVAILABLE


@pytest.mark.parametrize("word", ["endpoints", "to start", "SSM to reach", "to answer"])
def test_endpoints_that_are_deleted_under_a_drill_are_made_again(
    box: Box, drill: Drill, word: str
) -> None:
    box.verifiers.takes_so_long(2 * MINUTE)
    drill.asks_until(word)
    for endpoint in drill.verifier.looking.endpoints():
        drill.verifier.removing.delete(endpoint)
    assert drill.asks() == Told(FOUND)
    assert len(box.commands.sent) == 1
    drill.dismantle()
    assert (box.endpoints(), drill.verifier.left()) == ([], [])


def test_what_is_left_expires_with_the_last_drill_that_needs_it(
    box: Box, verifier: Verifier
) -> None:
    makes, needs = Drill(box, verifier, "orders"), Drill(box, verifier, "ledger")
    needs.tags[naming.TAG_EXPIRES] = naming.instant(EXPIRES + HOUR)
    makes.asks()
    needs.asks()
    verifier.removing.terminate(verifier.looking.instances(makes.name))
    left = [one for one in verifier.left() if one.what.startswith("endpoint")]
    assert {(one.drill, one.expires_at) for one in left} == {(needs.name, EXPIRES + HOUR)}


# --- killed anywhere --------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing may catch it."""


class Killer:
    """Ends everything at one call, before it is sent or when it has been answered."""

    def __init__(self, verifier: Verifier, number: int, event: str) -> None:
        self.left = number
        self.has_struck = False
        adapters = (verifier.making, verifier.asking, verifier.removing)
        for client in [*(one.client for one in adapters), verifier.asking.once]:
            client.meta.events.register(event, self._strike)

    def _strike(self, model: Any, **_: Any) -> None:
        if not model.name.startswith(("Get", "List")) and not self.has_struck:
            self.left -= 1
            if self.left < 0:
                self.has_struck = True
                raise Killed


CHANGES = 9
"""Three endpoints, an instance, a command; all but the command taken down again."""


@pytest.mark.parametrize("minutes", [1, 11])
@pytest.mark.parametrize("event", ["before-call", "after-call"])
@pytest.mark.parametrize("number", range(CHANGES))
def test_killed_at_a_change_it_makes_nothing_twice_and_leaves_nothing(
    box: Box, verifier: Verifier, number: int, event: str, minutes: int
) -> None:
    """The facts of a killed look are lost. What comes next comes when its lease has ended, or
    sooner.
    """
    drill, killer = Drill(box, verifier), Killer(verifier, number, event)
    told = None
    while told is None:
        try:
            told = drill.asks()
            drill.dismantle()
        except Killed:
            box.clock.run_for(minutes * MINUTE)
    drill.dismantle()
    assert killer.has_struck
    assert told == Told(FOUND)
    assert (len(box.commands.sent), box.instances()) == (1, ["terminated"])
    assert (box.endpoints(), verifier.left()) == ([], [])


def test_every_report_may_be_lost(box: Box, verifier: Verifier) -> None:
    """Each look is repeated at once, with the facts that were there before it."""
    drill, told = Drill(box, verifier), None
    while not isinstance(told, Told):
        before = dict(drill.facts)
        drill.look()
        drill.facts = before
        box.clock.run_for(5 * SECOND)  # a command is shown after two
        told = drill.look()
        box.clock.run_for(MINUTE)
    assert told == Told(FOUND)
    assert (len(box.commands.sent), box.instances(), box.endpoints()) == (1, ["running"], AVAILABLE)


def test_all_facts_may_be_lost(box: Box, verifier: Verifier) -> None:
    drill = Drill(box, verifier)
    drill.asks()
    drill.facts.clear()
    assert drill.asks() == Told(FOUND)
    assert (len(box.commands.sent), box.instances()) == (1, ["running"])


@pytest.mark.parametrize(("event", "minutes"), [("before-call", 10), ("after-call", 0)])
def test_an_answer_that_was_lost_is_not_asked_for_twice(
    box: Box, drill: Drill, event: str, minutes: int
) -> None:
    """A command that never arrived is sent when its traces have been looked for long enough."""

    def lost(**_: Any) -> None:
        raise ConnectionClosedError(endpoint_url="https://ssm")

    drill.asks_until("to be asked")
    since, connection = drill.now, drill.verifier.asking.once.meta.events
    connection.register(event, lost)
    assert isinstance(drill.look(), Pending)
    connection.unregister(event, lost)
    box.clock.run_for(MINUTE)
    assert drill.asks() == Told(FOUND)
    [command] = box.commands.sent
    assert minutes * MINUTE <= command.requested_at - since <= (minutes + 1) * MINUTE


# --- rights -----------------------------------------------------------------------------------


def test_nothing_without_a_drills_tag_is_made_or_removed(box: Box, verifier: Verifier) -> None:
    vpc = verifier.making.isolation.vpc
    aws = box.client("ec2")
    aws.create_vpc_endpoint(
        VpcId=vpc, VpcEndpointType="Interface", ServiceName=f"com.amazonaws.{REGION}.ssm"
    )
    box.clock.run_for(MINUTE)
    [shown] = verifier.looking.endpoints_in(vpc)
    instance = Instance("i-0123456789abcdef0", "running", TWO_O_CLOCK)
    for call in (
        lambda: verifier.removing.delete(shown),
        lambda: verifier.removing.terminate([instance]),
        lambda: verifier.making.start({"watchkeeper:drill": "mine"}),
        lambda: verifier.making.make_endpoint("ssm", {}, TWO_O_CLOCK),
    ):
        with pytest.raises(Refused, match="NotOurs"):
            call()
    assert (box.endpoints(), box.instances()) == (["ssm available"], [])
    assert verifier.left() == []
