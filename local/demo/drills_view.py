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
    restores, failed = chosen["restores_in_all"], reported["failed"] if reported else 0
    reads = chosen["drills"] - restores
    says = f"drills: {reads} to read" + (f", {failed} of them failed" if failed else "")
    says += f"; {restores} to restore, estimated ${chosen['estimate']:.2f}"
    # Of those in line, each says the same.
    waiting = [line.partition(" at level ") for line in chosen["put_off"]]
    put_off = [f"put off: {', '.join(name for name, _, _ in waiting)}"] if waiting else []
    whys = dict.fromkeys(rest.partition(": ")[2] for _, _, rest in waiting if rest)
    below = [*chosen["restores"], *(f"{line} ({'; '.join(whys)})" for line in put_off)]
    return Line(_at(chosen), "trouble" if failed else "done", says, below)


def _restored(news: Mapping[str, Any], found: evidence.Evidence) -> Line:
    what = f"{found.name} ({NOUNS[found.kind]})"
    below = [f"{found.name}: {in_phases(found.phases)}"]
    if found.verdict is Verdict.FAILED:  # why is on the page
        return Line(_at(news), "trouble", f"{what} restored, and it failed", below)
    says = f"{what} restored and checked{_measured(found)}"
    return Line(_at(news), "done", says, below)


def _measured(found: evidence.Evidence) -> str:
    said = ""
    if found.rto_reached is not None and found.rto_objective is not None:
        said = f" in {span(found.rto_reached)} of {span(found.rto_objective)}"
    if found.rpo_reached is not None:
        return f"{said}; its data was {span(found.rpo_reached)} old"
    return f"{said}, an older recovery point on purpose"


def in_phases(phases: Phases) -> str:
    """`12 min to restore, 40 min until all data was there, 1 min to check, …`."""
    took = [(DOING[name], end - begin) for name, begin, end in spans(phases)]
    return ", ".join(f"{span(lasted)} {doing}" for doing, lasted in took if lasted)


def _at(news: Mapping[str, Any]) -> datetime:
    return naming.parse_instant(news["at"])


# ── The tables ───────────────────────────────────────────────────────────────────────────────────


def sections(state: DrillsState) -> list[tuple[str, Table]]:
    """What there is to see, each under its title."""
    return [
        ("Proofs: what was restored and checked, against its targets", _proofs(state)),
        ("How long each restore took, phase by phase", _phases(state)),
    ]


def _proofs(state: DrillsState) -> Table:
    table = listing(
        ("resource", {"ratio": 1}),
        ("", {"width": 8}),
        ("plan", {"width": 8}),
        ("proved", {"width": 6}),
        ("age", {"justify": "right", "width": 5}),
        ("RPO", {"justify": "right", "width": 4}),
        ("took", {"justify": "right", "width": 6}),
        ("RTO", {"justify": "right", "width": 4}),
        ("verdict", {"width": 13}),
    )
    for one in state.proved:
        last = one.passed
        reached = last.evidence.rto_reached if last else None
        table.add_row(
            plain(one.name),
            NOUNS[one.kind],
            plan_text(one.plan),
            f"{last.evidence.ended_at:%d %b}" if last else "never",
            compact(last.age) if last and last.age is not None else "–",
            compact(one.rpo),
            span(reached) if reached is not None else "–",
            compact(one.rto),
            _verdict(one),
        )
    return table


def _verdict(one: Proved) -> Text:
    if one.failed:
        return Text(f"✘ on {one.failed.evidence.ended_at:%d %b}", style="bold red")
    if one.passed is None:
        return Text("– only read", style="yellow")
    return Text("✔ by an older" if one.passed.is_older else "✔ proved", style="green")


def _phases(state: DrillsState) -> Table:
    table = listing(
        ("resource", {"ratio": 1}),
        ("restore", {"justify": "right", "width": 7}),
        ("all data", {"justify": "right", "width": 8}),
        ("check", {"justify": "right", "width": 6}),
        ("removal", {"justify": "right", "width": 7}),
        ("cost", {"justify": "right", "width": 6}),
        ("evidence", {"width": 25, "no_wrap": True}),
    )
    for one in state.restores:
        found = one.evidence
        took = {name: span(end - begin) for name, begin, end in spans(found.phases)}
        table.add_row(
            plain(found.name),
            *(took.get(name, "–") for name in DOING),
            f"${found.cost_estimated:.2f}",
            Text(_short(one), style="bright_black"),
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
    what = f"{len(proved)} of {count(len(everyone), 'resource')}"
    style = "bold green" if len(proved) == len(everyone) else "bold yellow"
    lines = [Text(f"{what} were restored and checked, each within its RTO.", style=style)]
    for plan in dict.fromkeys(one.plan for one in everyone):
        of_plan = [one for one in proved if one.plan == plan]
        asked = sum(one.plan == plan for one in everyone)
        of_all = f": {len(of_plan)} of {asked}{_extremes(of_plan)}"
        lines.append(Text.assemble(plan_text(plan), of_all))
    return Text("\n").join(lines)


def _extremes(proved: Sequence[Proved]) -> str:
    """The slowest, the oldest data, and the oldest proof among them."""
    found = [one.passed for one in proved if one.passed]
    times = [one.evidence.rto_reached for one in found if one.evidence.rto_reached is not None]
    ages = [one.evidence.rpo_reached for one in found if one.evidence.rpo_reached is not None]
    said = f"; the slowest in {span(max(times))} of {compact(proved[0].rto)}" if times else ""
    said += f"; data at most {compact(max(ages))} of {compact(proved[0].rpo)} old" if ages else ""
    oldest = min((one.evidence.ended_at for one in found), default=None)
    return said + (f"; proved since {oldest:%a %d %b}" if oldest else "")


def _failure(one: Proved) -> str:
    why = one.failed.evidence.failure if one.failed else ""
    return f"{one.name} ({NOUNS[one.kind]}, {one.plan}): {why}"


def _next(state: DrillsState) -> Text:
    text = f"A round now: drills for ${state.next_estimate:.2f}"
    text += f", {len(state.put_off)} put off. " if state.put_off else ". "
    text += f"Of ${state.per_month:g} for any 30 days, ${state.spent:.2f} are spent, as estimated."
    # Of single resources, the tables tell.
    names = {one.name for one in state.proved}
    general = [line for line in state.shortfalls if line.partition(":")[0] not in names]
    return Text("\n").join([Text(text), *(plain(line, "yellow") for line in general)])
