"""The page that a person follows in an exercise: printed, it needs nothing but a shell. Pure.

What is restored by it has the exercise's name and tags, in the isolation of drills; so whatever the
person forgets to remove, the drill removes.
"""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper import naming
from watchkeeper.backups.model import Kind, RecoveryPoint
from watchkeeper.drills.markup import code, facts, moment, paragraph, quiet, section, text
from watchkeeper.drills.page import SIGNATURES, document
from watchkeeper.drills.restoring import Where


@dataclass(frozen=True)
class Handout:
    """What the page is about."""

    run: str
    drill: str
    """The name of all that is made."""
    resource_name: str
    point: RecoveryPoint
    tags: Mapping[str, str]
    where: Where
    may_sign: Sequence[str]
    until: datetime


def exercise_page(out: Handout) -> str:
    restore, look, remove = COMMANDS[out.point.kind](out)
    title = f"Exercise: restore {text(out.resource_name or out.point.resource, 120)}"
    content = [
        (
            f'<header><p class="kicker">Exercise · all times in UTC</p><h1>Restore '
            f"{quiet(out.resource_name or out.point.resource, 120)}</h1>"
            '<p class="lead">As in earnest: by this page alone, with your own rights.</p></header>'
        ),
        section("what", "What is restored", facts(_about(out))),
        section(
            "before",
            "1. Before",
            paragraph(
                "Note the time: from here on you are measured. Use a shell with the AWS CLI."
            ),
        ),
        section("restore", "2. Restore it", *_shown(restore)),
        section(
            "look",
            "3. Look whether it is what it should be",
            *_shown(look),
            paragraph("Ask it what its users would ask. Note the newest data that you find."),
        ),
        section("remove", "4. Remove it", *_shown(remove)),
        section("sign", "5. Sign it off", *_signing(out)),
        SIGNATURES,
    ]
    return document(title, "".join(content))


def _about(out: Handout) -> list[tuple[str, str]]:
    return [
        ("Resource", code(out.point.resource)),
        ("Recovery point", f"{code(out.point.id)} of {moment(out.point.created_at)}"),
        ("Made of", "<br>".join(code(part.snapshot) for part in out.point.parts)),
        ("Restored as", code(out.drill)),
        ("Sign by", moment(out.until)),
        ("May sign", text(", ".join(out.may_sign))),
    ]


def _signing(out: Handout) -> list[str]:
    payload = json.dumps(
        {"trigger": "sign-off", "run": out.run, "by": out.may_sign[0] if out.may_sign else "",
         "passed": True, "note": "what you noticed"}
    )  # fmt: skip
    return [
        paragraph("Say how it went; <code>false</code> if it did not go well, or was too slow:"),
        *_shown([f"run DrillRestores {shlex.quote(payload)}"]),
        paragraph("<code>run</code> is the shell function at the top of docs/operating.md."),
    ]


def _shown(commands: Sequence[str]) -> list[str]:
    return [f"<pre>{text(command, 2000)}</pre>" for command in commands]


# ── What to type ──────────────────────────────────────────────────────────────────────────────────

Typed = tuple[list[str], list[str], list[str]]
"""To restore, to look, and to remove."""


def _database(out: Handout) -> Typed:
    snapshot = shlex.quote(naming.rds_name(out.point.parts[0].snapshot))
    of = f"--db-instance-identifier {out.drill}"
    restore = [
        (
            f"aws rds restore-db-instance-from-db-snapshot {of} "
            f"--db-snapshot-identifier {snapshot} "
            f"--db-subnet-group-name {out.where.subnet_group} "
            f"--vpc-security-group-ids {out.where.database_group} --no-publicly-accessible "
            f"--tags {_tags(out)}"
        ),
        f"aws rds wait db-instance-available {of}",
    ]
    look = [f"aws rds describe-db-instances {of}"]
    return restore, look, [f"aws rds delete-db-instance {of} --skip-final-snapshot"]


def _cluster(out: Handout) -> Typed:
    snapshot = shlex.quote(naming.rds_name(out.point.parts[0].snapshot))
    of = f"--db-cluster-identifier {out.drill}"
    member = f"--db-instance-identifier {out.drill}-1"
    restore = [
        (
            f"aws rds restore-db-cluster-from-snapshot {of} --snapshot-identifier {snapshot} "
            f"--engine ENGINE --db-subnet-group-name {out.where.subnet_group} "
            f"--vpc-security-group-ids {out.where.database_group} --tags {_tags(out)}"
        ),
        (
            f"aws rds create-db-instance {member} {of} --engine ENGINE --db-instance-class CLASS "
            f"--no-publicly-accessible --tags {_tags(out)}"
        ),
        f"aws rds wait db-instance-available {member}",
    ]
    look = [f"aws rds describe-db-clusters {of}"]
    remove = [
        f"aws rds delete-db-instance {member} --skip-final-snapshot",
        f"aws rds delete-db-cluster {of} --skip-final-snapshot",
    ]
    return restore, look, remove


def _table(out: Handout) -> Typed:
    of = f"--table-name {out.drill}"
    restore = [
        (
            f"aws dynamodb restore-table-from-backup --target-table-name {out.drill} "
            f"--backup-arn {shlex.quote(out.point.parts[0].snapshot)}"
        ),
        f"aws dynamodb wait table-exists {of}",
    ]
    look = [f"aws dynamodb scan {of} --select COUNT", f"aws dynamodb scan {of} --limit 5"]
    return restore, look, [f"aws dynamodb delete-table {of}"]


def _volumes(out: Handout) -> Typed:
    tags = ",".join(f"{{Key={key},Value={value}}}" for key, value in out.tags.items())
    tagged = shlex.quote(f"ResourceType=volume,Tags=[{tags}]")
    restore = [
        f"aws ec2 create-volume --snapshot-id {shlex.quote(part.snapshot)} "
        f"--availability-zone {out.where.zone} --volume-type gp3 --tag-specifications {tagged}"
        for part in out.point.parts
    ]
    filters = f"--filters Name=tag:{naming.TAG_DRILL},Values={out.drill}"
    look = [
        f"aws ec2 describe-volumes {filters}",
        "# attach them to an instance of yours in that zone, and mount them read-only",
    ]
    return restore, look, ["aws ec2 delete-volume --volume-id VOLUME  # each of them"]


def _tags(out: Handout) -> str:
    return " ".join(shlex.quote(f"Key={key},Value={value}") for key, value in out.tags.items())


COMMANDS: Mapping[Kind, Callable[[Handout], Typed]] = {
    Kind.INSTANCE: _volumes,
    Kind.VOLUME: _volumes,
    Kind.DATABASE: _database,
    Kind.CLUSTER: _cluster,
    Kind.TABLE: _table,
}
