"""Bad restores and good ones, drilled: `python -m tests.simulation.restores [words of a case …]`.

Each case happens aside, in a copy of the same morning (`restores_world.py`): something is done to a
recovery point, or to what is restored of it (`restores_harm.py`), and it is drilled at every level,
from metadata up. A bad one must pass below the level that should catch it, and fail there, by the
check that is meant to see it (`restores_cases.py`). A good one must pass at all of them. What no
drill can see is drilled as well, so that the reason is not only said.

It prints what was caught by what, and both counts, and ends with an error unless all are right.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.crash.forks import aside
from tests.crash.restores import Account, drilled
from tests.simulation.restores_cases import BAD, CHECK, GOOD, KINDS, UNSEEN, Bad, Good, Unseen
from tests.simulation.restores_harm import Act
from tests.simulation.restores_world import account

LEVELS = ("metadata", "blocks", "restore", "check")
Case = Bad | Good | Unseen


@dataclass(frozen=True)
class Drilled:
    """What the evidence of one drill says, in short."""

    level: str
    verdict: str
    failure: str
    failing: tuple[tuple[str, str], ...] = ()
    """Name and level of the checks that did not pass."""
    left: tuple[str, ...] = ()
    """What it has made and not removed."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    case: Case
    level: str
    said: str
    """The check that caught it, or what is not as it should be."""
    is_right: bool


# ── Drilling ──────────────────────────────────────────────────────────────────────────────────────


def drills_of(made: Account, case: Case) -> list[Drilled]:
    """Those of a case, as they came; in a copy of the world."""

    def story() -> list[Drilled]:
        match case:
            case Bad(name, level=level, harm=harm):
                harm(made, name)
                return _at(made, name, _up_to(name, level))
            case Unseen(name, harm=harm):
                harm(made, name)
                return _at(made, name, _up_to(name, CHECK))
            case Good(name, before=before, again=again):
                before(made, name)
                of = {"point": point} if (point := case.point(made, name)) else {}
                return [
                    *_at(made, name, _up_to(name, CHECK), **of),
                    *(_again(made, name, again, of) if again else ()),
                ]

    return aside(story)


def _again(made: Account, name: str, meanwhile: Act, of: dict[str, str]) -> list[Drilled]:
    meanwhile(made, name)
    return _at(made, name, _up_to(name, CHECK), **of)


def _up_to(name: str, level: str) -> list[str]:
    """What a check asks, a restore alone asks, too."""
    are_disks = KINDS[name] in ("volume", "instance set")
    below = [one for one in LEVELS[:2] if LEVELS.index(one) < LEVELS.index(level)]
    return [*(one for one in below if one != "blocks" or are_disks), level]


def _at(made: Account, name: str, levels: Sequence[str], **more: str) -> list[Drilled]:
    found = []
    for level in levels:
        end = drilled(made, name, level, **more)
        filed = end.last(name)
        failing = tuple(
            (check["name"], check["level"])
            for check in _document(made, name)["checks"]
            if not check["passed"]
        )
        found.append(Drilled(filed.level, filed.verdict, filed.failure, failing, end.left))
    return found


def _document(made: Account, name: str) -> dict[str, Any]:
    """The newest evidence of a resource."""
    from watchkeeper.aws.evidence import EvidenceReader  # noqa: PLC0415, importable inside a box

    reader = EvidenceReader(made.bucket)
    found: dict[str, Any] = json.loads(reader.read(reader.chain(made.arns[name])[-1]))
    return found


# ── Judging ───────────────────────────────────────────────────────────────────────────────────────


def judged(case: Case, drills: Sequence[Drilled]) -> Row:
    """Whether they came to what they should; pure."""
    if left := [one for drill in drills for one in drill.left]:
        return Row(case, "", f"LEFT BEHIND: {', '.join(left)}", is_right=False)
    failed = next((drill for drill in drills if drill.verdict != "passed"), None)
    match case:
        case Bad(level=level, by=by):
            return _caught(case, level, by, failed)
        case Good():
            said = f"REFUSED at {failed.level}: {failed.failure}" if failed else "passed"
            return Row(case, CHECK, said, is_right=bool(drills) and not failed)
        case Unseen(why=why):
            said = f"CAUGHT at {failed.level}, and should be among the bad" if failed else why
            return Row(case, "", said, is_right=bool(drills) and not failed)


def _caught(case: Bad, level: str, by: str, failed: Drilled | None) -> Row:
    if failed is None:
        return Row(case, level, "MISSED", is_right=False)
    if failed.level != level or any(of != level for _, of in failed.failing):
        said = f"CAUGHT TOO EARLY, at {failed.level}: {failed.failure}"
        return Row(case, level, said, is_right=False)
    names = [name for name, _ in failed.failing] or [failed.failure]
    seen = [name for name in names if _is(name, by, of_check=bool(failed.failing))]
    if not seen:
        return Row(case, level, f"CAUGHT BY ANOTHER: {', '.join(names)}", is_right=False)
    return Row(case, level, by, is_right=True)


def _is(said: str, by: str, *, of_check: bool) -> bool:
    """A check by its name or its question; else a failure by its beginning."""
    if not of_check:
        return said.startswith(by)
    return said == by or said.startswith(f"{by} of ")


# ── Telling ───────────────────────────────────────────────────────────────────────────────────────

WIDTHS = (19, 52, 8)


def line(row: Row) -> str:
    what = row.case.what if isinstance(row.case, Good) else row.case.wrong
    cells = (f"{KINDS[row.case.name]} {row.case.name}", what, row.level)
    shown = "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    return f"{shown}  {row.said}"


def counts(rows: Sequence[Row]) -> tuple[str, bool]:
    """In a sentence, and whether all is right; nothing drilled is not."""
    bad, good, unseen = (
        [row for row in rows if isinstance(row.case, sort)] for sort in (Bad, Good, Unseen)
    )
    caught, refused = sum(row.is_right for row in bad), sum(not row.is_right for row in good)
    told = f"caught {caught} of {len(bad)} bad restores; refused {refused} of {len(good)} good ones"
    if unseen:
        told += f"; {sum(row.is_right for row in unseen)} of {len(unseen)} seen by none, as said"
    return told, bool(rows) and all(row.is_right for row in rows)


def chosen(words: Sequence[str] = ()) -> list[tuple[str, list[Case]]]:
    """By heading, the cases with all of these words in their line."""

    def wanted(case: Case) -> bool:
        told = line(Row(case, getattr(case, "level", ""), "", is_right=True))
        return all(word in told for word in words)

    sections: list[tuple[str, Sequence[Case]]] = [
        ("Bad, with the level and the check that caught it", BAD),
        ("Good", GOOD),
        ("Not caught by any drill, and why", UNSEEN),
    ]
    return [(heading, [one for one in cases if wanted(one)]) for heading, cases in sections]


def say(text: str) -> None:
    """At once: the next line takes some seconds."""
    print(text, flush=True)  # noqa: T201, a command for a person


def tell(made: Account, sections: Sequence[tuple[str, Sequence[Case]]]) -> int:
    """Drill these cases and print what came of them; the exit code of the command."""
    rows = []
    for heading, cases in sections:
        if cases:
            say(f"\n{heading}\n")
        for case in cases:
            rows.append(judged(case, drills_of(made, case)))
            say(line(rows[-1]))
    told, are_right = counts(rows)
    say(f"\n{told}")
    return 0 if are_right else 1


def main(words: Sequence[str]) -> int:
    with account(deny=True) as made:
        return tell(made, chosen(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
