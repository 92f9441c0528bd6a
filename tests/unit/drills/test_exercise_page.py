"""The page that a person follows: what is to be typed works as it stands, and nothing else acts."""

import html
import json
import re
import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.drills.fleet import NOW, arn, point
from watchkeeper import naming, triggers
from watchkeeper.backups.model import Kind, Part
from watchkeeper.drills.exercise_page import COMMANDS, Handout, exercise_page
from watchkeeper.drills.model import Level
from watchkeeper.drills.restoring import Where
from watchkeeper.triggers import SignOffNow

ROUNDS = (
    naming.round_id(NOW),
    naming.by_hand_id("drill", "x"),
    naming.by_hand_id("drill", "A" + "._-z" * 15),
)
RUN = naming.restore_id(ROUNDS[0], arn(Kind.TABLE, "rates"), Level.EXERCISE)
DRILL = naming.drill_name("watchkeeper", RUN)
TAGS = naming.drill_tags("watchkeeper", RUN, NOW + timedelta(days=3))
SNAPSHOTS = {
    Kind.INSTANCE: "snap-0a", Kind.VOLUME: "snap-0a",
    Kind.DATABASE: "arn:aws:rds:eu-west-1:111122223333:snapshot:wk-00000000-0123456789abcdef",
    Kind.CLUSTER: "arn:aws:rds:eu-west-1:111122223333:cluster-snapshot:wk-00000000-0123456789ab",
    Kind.TABLE: "arn:aws:dynamodb:eu-west-1:111122223333:table/rates/backup/0123-abcd",
}  # fmt: skip


def handout(kind: Kind = Kind.TABLE, **changes: object) -> Handout:
    made = point(kind, "rates", parts=(Part(SNAPSHOTS[kind], "vol-0a", 8),))
    fields: dict[str, object] = {
        "run": RUN, "drill": DRILL, "resource_name": "rates", "point": made, "tags": TAGS,
        "where": Where("drills", "sg-1", "eu-west-1a"), "may_sign": ["ops@example.com"],
        "until": NOW + timedelta(days=3),
    }  # fmt: skip
    return Handout(**(fields | changes))  # type: ignore[arg-type]


def typed(page: str) -> list[list[str]]:
    """What a shell makes of each line that is to be typed."""
    lines = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    return [shlex.split(html.unescape(one), comments=True) for one in lines]


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_is_restored_beside_the_original_looked_at_and_removed(kind: Kind) -> None:
    commands = [one for one in typed(exercise_page(handout(kind))) if one]
    made = [one for one in commands if re.match("restore|create", one[2])]
    gone = [one for one in commands if one[2].startswith("delete")]

    assert set(COMMANDS) == set(Kind)
    assert made
    assert len(gone) == len(made)
    assert all(one[0] == "aws" for one in commands[:-1])
    for words in made:
        assert DRILL in " ".join(words)
        assert arn(kind, "rates") not in words
        assert kind is Kind.TABLE or naming.TAG_EXPIRES in " ".join(words)
    if kind in (Kind.DATABASE, Kind.CLUSTER):
        assert all("drills" in one for one in made if "snapshot" in one[2])
        assert "--publicly-accessible" not in " ".join(map(" ".join, made))


@pytest.mark.parametrize("round_", ROUNDS)
def test_the_line_that_signs_it_off_is_accepted_as_it_stands(round_: str) -> None:
    run = naming.restore_id(round_, arn(Kind.TABLE, "rates"), Level.EXERCISE)
    _, function, payload = typed(exercise_page(handout(run=run)))[-1]

    trigger = triggers.parse(triggers.drill_restores, json.loads(payload))
    assert function == "DrillRestores"
    assert isinstance(trigger, SignOffNow)
    assert (trigger.run, trigger.by, trigger.passed) == (run, "ops@example.com", True)


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "'; rm -rf / #", "$(reboot)", "\x1b"]
)
def test_names_of_others_neither_act_in_a_browser_nor_in_a_shell(evil: str) -> None:
    part = Part(f"arn:aws:rds:eu-west-1:111122223333:snapshot:{evil}", "", 8)
    one = handout(Kind.DATABASE, resource_name=evil)
    page = exercise_page(replace(one, point=replace(one.point, parts=(part,))))

    assert "<script" not in page
    assert "\x1b" not in page
    restore = typed(page)[0]
    if evil.isprintable():
        assert restore[restore.index("--db-snapshot-identifier") + 1] == evil
