"""What drills did and proved, as lines of the timeline, tables and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from local.demo.drills_state import DrillsState, Filed, Proved
from local.demo.page import plain
from local.demo.timeline import Evidence, Line
from local.demo.words import NOUNS, compact, count, listing, plan_text, span
from watchkeeper import naming
from watchkeeper.drills import evidence
from watchkeeper.drills.figures import spans
from watchkeeper.drills.model import Phases, Verdict

DOING = {
    "available": "to restore",
    "initialised": "until all data was there",
    "verified": "to check",
    "torn_down": "to take it down",
}
Document = Callable[[str, str], evidence.Evidence]
"""Of a resource and a run, the evidence that the run has left."""


# ── The timeline ─────────────────────────────────────────────────────────────────────────────────


def tell(news: Evidence, document: Document) -> Iterator[Line]:
    """The lines of what was drilled: a round when it is chosen, a restore when it is judged."""
    reported = {one["run"]: one for one in news.news if one["type"] == "DrillsReported"}
    for one in news.news:
        if one["type"] == "DrillsChosen":
            yield _round(one, reported.get(one["run"]))
        elif one["type"] == "RestoreDrilled":
            yield _restored(one, document(one["resource"], one["run"]))


def _round(chosen: Mapping[str, Any], reported: Mapping[str, Any] | None) -> Line:
    restores, failed = len(chosen["restores"]), reported["failed"] if reported else 0
    reads = chosen["drills"] - restores
    says = f"drills: {reads} to read" + (f", {failed} of them failed" if failed else "")
    says += f"; {restores} to restore, estimated ${chosen['estimate']:.2f}"
    # Of those in line, each says the same.
    waiting = [line.partition(" at level ") for line in chosen["put_off"]]
    put_off = [f"put off: {', '.join(name for name, _, _ in waiting)}"] if waiting else []
    whys = dict.fromkeys(rest.partition(": ")[2] for _, _, rest in waiting)
    below = [*chosen["restores"], *(f"{line} ({'; '.join(whys)})" for line in put_off)]
    return Line(_at(chosen), "trouble" if failed else "done", says, below)


def _restored(news: Mapping[str, Any], found: evidence.Evidence) -> Line:
    what = f"{found.name} ({NOUNS[found.kind]})"
    took = f"in {span(found.rto_reached)}, RTO {span(found.rto_objective)}" if (
        found.rto_reached is not None and found.rto_objective is not None
    ) else "not restored"  # fmt: skip
    passed = found.verdict is Verdict.PASSED
    word = "restored and checked" if passed else "restored, and it is not what it should be"
    age = f"; its data was {span(found.rpo_reached)} old" if found.rpo_reached is not None else ""
    below = [f"{found.name}: {in_phases(found.phases)}"]
    if found.failure:
        below.append(f"{found.name}: {found.failure}")
    return Line(_at(news), "done" if passed else "trouble", f"{what} {word} {took}{age}", below)


def in_phases(phases: Phases) -> str:
    """`12 min to restore, 40 min until all data was there, 1 min to check, …`."""
    return ", ".join(f"{span(end - begin)} {DOING[name]}" for name, begin, end in spans(phases))


def _at(news: Mapping[str, Any]) -> datetime:
    return naming.parse_instant(news["at"])


# ── The tables ───────────────────────────────────────────────────────────────────────────────────


def sections(state: DrillsState) -> list[tuple[str, Table]]:
    """What there is to see, each under its title."""
    return [
        ("Proofs: what was restored and checked, against its targets", _proofs(state)),
        ("Recovery time in phases, of the last restore of each", _phases(state)),
    ]


def _proofs(state: DrillsState) -> Table:
    table = listing(
        ("resource", {"ratio": 1}),
        ("", {"width": 8}),
        ("plan", {"width": 8}),
        ("last proved", {"width": 12}),
        ("data age", {"justify": "right", "width": 8}),
        ("RPO", {"justify": "right", "width": 4}),
        ("took", {"justify": "right", "width": 6}),
        ("RTO", {"justify": "right", "width": 4}),
        ("verdict", {"width": 15}),
    )
    for one in state.proved:
        found = one.restored.evidence if one.restored else None
        reached = found.rto_reached if found else None
        table.add_row(
            plain(one.name),
            NOUNS[one.kind],
            plan_text(one.plan),
            f"{found.ended_at:%d %b %H:%M}" if found else "never",
            _age(one),
            compact(one.rpo),
            span(reached) if reached is not None else "–",
            compact(one.rto),
            _verdict(one),
        )
    return table


def _age(one: Proved) -> Text:
    age = one.restored.evidence.rpo_reached if one.restored else None
    if age is None:
        return Text("–")
    return Text(compact(age), style="" if one.was_newest else "bright_black")


def _verdict(one: Proved) -> Text:
    if one.is_proved:
        older = "" if one.was_newest else ", older"
        return Text(f"✔ proved{older}", style="green")
    if one.failed:
        return Text("✘ failed", style="bold red")
    return Text("– only read", style="yellow")


def _phases(state: DrillsState) -> Table:
    table = listing(
        ("resource", {"ratio": 1}),
        ("", {"width": 8}),
        ("restore", {"justify": "right", "width": 8}),
        ("all data", {"justify": "right", "width": 8}),
        ("check", {"justify": "right", "width": 8}),
        ("take down", {"justify": "right", "width": 9}),
        ("estimate", {"justify": "right", "width": 8}),
        ("evidence", {"width": 26, "no_wrap": True}),
    )
    for one in state.proved:
        if one.restored is None:
            continue
        found = one.restored.evidence
        took = {name: span(end - begin) for name, begin, end in spans(found.phases)}
        table.add_row(
            plain(one.name),
            NOUNS[one.kind],
            *(took.get(name, "–") for name in DOING),
            f"${found.cost_estimated:.2f}",
            Text(_short(one.restored), style="bright_black"),
        )
    return table


def _short(filed: Filed) -> str:
    """The resource's folder and the number of the document in it."""
    return filed.key.removeprefix(naming.EVIDENCE).removesuffix(".json")


# ── The answer ───────────────────────────────────────────────────────────────────────────────────


def answers(state: DrillsState) -> list[tuple[str, Text]]:
    """Questions that people ask, answered in a line or two."""
    proved = [one for one in state.proved if one.is_proved]
    failed = [one for one in state.proved if one.failed]
    rest = [one for one in state.proved if not one.is_proved and not one.failed]
    answers = [("Is that proved?", _verdict_on_all(state.proved, proved))]
    if failed:
        lines = [plain(_failure(one), "red") for one in failed]
        answers.append(("What failed?", Text("\n").join(lines)))
    if rest:
        names = ", ".join(one.name for one in rest)
        text = f"{names}. Their recovery points were read where they lie."
        answers.append(("Not restored yet?", plain(text, "yellow")))
    answers.append(("What is next?", _next(state)))
    return answers


def _verdict_on_all(everyone: Sequence[Proved], proved: Sequence[Proved]) -> Text:
    """The sum, then a line per plan."""
    if not proved:
        return Text("No: nothing has been restored and checked.", style="bold red")
    sum_ = f"By restoring {len(proved)} of {count(len(everyone), 'resource')}, each within its RTO."
    lines = [Text(sum_, style="bold green" if len(proved) == len(everyone) else "bold yellow")]
    for plan in dict.fromkeys(one.plan for one in everyone):
        of_plan = [one for one in proved if one.plan == plan]
        lines.append(
            Text.assemble(
                plan_text(plan),
                f": {len(of_plan)} of {sum(one.plan == plan for one in everyone)}",
                _extremes(of_plan),
            )
        )
    return Text("\n").join(lines)


def _extremes(proved: Sequence[Proved]) -> str:
    """The slowest, the oldest data, and the oldest proof among them."""
    found = [one.restored.evidence for one in proved if one.restored]
    times = [one.rto_reached for one in found if one.rto_reached is not None]
    # Of one that is older on purpose, the age says nothing about the RPO.
    ages = [
        age
        for one in proved
        if one.restored
        and one.was_newest
        and (age := one.restored.evidence.rpo_reached) is not None
    ]
    said = f"; the slowest in {span(max(times))} of {span(proved[0].rto)}" if times else ""
    said += f", data at most {span(max(ages))} of {span(proved[0].rpo)} old" if ages else ""
    oldest = min((one.ended_at for one in found), default=None)
    return said + (f"; the oldest proof of {oldest:%a %d %b}" if oldest else "")


def _failure(one: Proved) -> str:
    why = one.failed.evidence.failure if one.failed else ""
    return f"{one.name} ({NOUNS[one.kind]}, {one.plan}): {why}"


def _next(state: DrillsState) -> Text:
    text = f"A round now would begin drills for ${state.next_estimate:.2f}. "
    text += f"Estimated so far: ${state.spent:.2f} of ${state.per_month:g} in any 30 days."
    return plain("\n".join([text, *state.shortfalls]))
