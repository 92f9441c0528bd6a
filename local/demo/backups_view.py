"""How backups are told and shown: the lines of a day, two tables, and the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from local.demo.backups_state import BackupsState, Fate, Protected
from local.demo.page import plain
from local.demo.timeline import Evidence, Line, Stand
from local.demo.words import NOUNS, compact, count, listing, named, plan_text, span
from watchkeeper import naming
from watchkeeper.backups.model import ACCEPTED, Finding, Gap, Kind

SLOW = timedelta(minutes=70)
"""A night that took longer than this fleet usually does, with a database that waits for its window:
worth a word.
"""

WEAKER = (Gap.NO_POINT_IN_TIME, Gap.LIMIT)
"""Findings of a report that no other news tells."""
QUOTA = " (service "
"""From here on a finding about a limit gives the details to whoever asks AWS for more."""
FATES = {
    "kept": "green",
    "refused": "magenta",
    "expiring": "cyan",
    "removed": "bright_black",
    "failed": "red",
}
FAILED_SNAPSHOT = re.compile(r"snapshot snap-[0-9a-f]+ of vol-[0-9a-f]+ ")
COMMAND = re.compile(r" \(aws .*")
"""The remedy at the end of a reason, or what is left of it: state.jsonl and the page have it."""
REFUSAL = "but it cannot be removed: "
"""Before it, a refusal says why retention would let go: the same sentence every night."""
POSTPONED = re.compile(r"cannot be backed up yet: (.*), until \w+ \d\d:\d\d UTC")


# ── The timeline ─────────────────────────────────────────────────────────────────────────────────


def tell(evidence: Evidence, taken: Mapping[str, Mapping[Kind, int]]) -> Iterator[Line]:
    """The lines of what happened to backups; `taken` is what each night has taken."""
    nights: dict[str, list[Mapping[str, Any]]] = {}
    for news in evidence.news:
        kind = news["type"]
        if kind == "RecoveryPointsCompleted":
            nights.setdefault(_night(news["run"]), []).append(news)
        elif kind == "RecoveryPointsRemoved" and (news["removed"] or news["refused"]):
            yield _removed(news)
        elif kind == "StepFailed" and news["capability"] in ("backup", "expire"):
            yield Line(_at(news), "trouble", f"{news['run']}: {news['step']} failed", [news["why"]])
    postponed = dict(_postponed(evidence.stands))
    gaps = {news["run"]: _weaker(news["findings"]) for news in evidence.news if "findings" in news}
    for night, shards in nights.items():
        below = [*postponed.get(night, ()), *gaps.get(night, ())]
        yield _completed(night, shards, taken.get(night, {}), below)


def _night(run: str) -> str:
    """Of a shard, the night."""
    return run.rpartition("#")[0]


def _completed(
    night: str,
    shards: Sequence[Mapping[str, Any]],
    taken: Mapping[Kind, int],
    below: Sequence[str],
) -> Line:
    ended, begun = max(_at(news) for news in shards), _begun(night)
    failed = sum(news["failed"] for news in shards)
    said = ", ".join(count(taken[kind], NOUNS[kind]) for kind in Kind if taken.get(kind))
    says = f"{shards[0]['plan']}: {said or 'nothing'}" + (f"; {failed} failed" if failed else "")
    at = begun or ended
    if begun is None:
        says += ", asked for by hand"
    elif ended - begun > SLOW:
        at = ended
        says += f", complete {span(ended - begun)} after the night began"
    reasons = [_without_ids(reason) for news in shards for reason in news["reasons"]]
    weaker = [news["crash_consistent"] for news in shards if news.get("crash_consistent")]
    return Line(at, "trouble" if failed else "done", says, [*reasons, *weaker, *below])


def _postponed(stands: Sequence[Stand]) -> Iterator[tuple[str, list[str]]]:
    """Per night, what had to wait, and for what; the same words every night."""
    for stand in stands:
        if found := POSTPONED.search(stand.where):
            yield _night(stand.run), [f"{found[1]}: postponed, and taken after it"]


def _weaker(findings: Sequence[str]) -> list[str]:
    """Of a report's findings, those that are told nowhere else."""
    told = [line for line in findings if any(f": {gap.value}: " in line for gap in WEAKER)]
    return [line.partition(QUOTA)[0] for line in told]


def _removed(news: Mapping[str, Any]) -> Line:
    says = f"retention: {news['removed']} removed, {news['kept']} kept"
    if news["refused"]:
        says += f", {news['refused']} refused"
    below = [_short(reason) for reason in news["reasons"]]
    return Line(_begun(news["run"]) or _at(news), "removed", says, below)


def _short(reason: str) -> str:
    resource, _, why = reason.partition(": ")
    return f"{resource}: {why.rpartition(REFUSAL)[2]}"


def _at(news: Mapping[str, Any]) -> datetime:
    return naming.parse_instant(news["at"])


def _begun(run: str) -> datetime | None:
    """When a run was due, if its id says so."""
    minute = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", run)
    return naming.parse_minute(minute[0]) if minute else None


def _without_ids(why: str) -> str:
    """Of a snapshot that failed, nobody needs the id to understand; state.jsonl has it."""
    return COMMAND.sub("", FAILED_SNAPSHOT.sub("its snapshot ", why))


# ── The tables ───────────────────────────────────────────────────────────────────────────────────


def sections(state: BackupsState) -> list[tuple[str, Table]]:
    """What there is to see, each under its title."""
    left_out = f"What no plan protects: {len(state.gaps)} to look at"
    return [
        ("Recovery points, and why each is kept, refused or gone", _points(state)),
        ("Coverage against the objectives (RPO)", _coverage(state)),
        (left_out, _unprotected(state.unprotected)),
    ]


def _points(state: BackupsState) -> Table:
    table = listing(
        ("recovery point", {"width": 27, "no_wrap": True}),
        ("", {"width": 11, "no_wrap": True}),
        ("why", {"ratio": 1}),
    )
    for alike in _alike(state):
        for one in alike:
            tally = Text(_tally(one), style="bright_black")
            table.add_row(plain(one.name, "bold"), plan_text(one.plan), tally)
        for fate, others in _worth_showing(alike[0]):
            times = f" ×{1 + len(others)}" if others else ""
            word = Text(f"{fate.word}{times}", style=FATES.get(fate.word, ""))
            when = f"  {_when(fate):%a %d %b %H:%M}"
            table.add_row(when, word, _why(fate, others, state.names))
        table.add_section()
    return table


def _when(fate: Fate) -> datetime:
    """The night that it was taken in: what is alike in all that night is shown once."""
    return _begun(fate.point.run) or fate.point.created_at


def _alike(state: BackupsState) -> list[list[Protected]]:
    """Resources of one plan whose recovery points met the same fates share their lines."""
    groups: dict[Any, list[Protected]] = {}
    for one in state.protected:
        lines = tuple(
            (_when(fate), fate.word, _why(fate, others, state.names).plain)
            for fate, others in _worth_showing(one)
        )
        alike = (one.plan, lines, frozenset(_tally_of(one).items()))
        groups.setdefault(alike, []).append(one)
    return list(groups.values())


def _tally_of(one: Protected) -> Counter[str]:
    return Counter(fate.word for fate in one.fates)


def _tally(one: Protected) -> str:
    counts = _tally_of(one)
    shown = [f"{counts[word]} {word}" for word in FATES if counts[word]]
    gib = max((sum(part.gib for part in fate.point.parts) for fate in one.fates), default=0)
    what = f"{NOUNS[one.kind]}, {gib} GiB" if gib else NOUNS[one.kind]
    return f"{what}: {', '.join(shown) or 'none yet'}"


def _worth_showing(one: Protected) -> list[tuple[Fate, list[Fate]]]:
    """The newest of each fate and the others that it stands for; what was refused, all of it."""
    shown: list[tuple[Fate, list[Fate]]] = []
    for word in FATES:
        fates = one.counted(word)
        special = [each for each in fates if word == "refused" or "tags" in each.rules]
        usual = [each for each in fates if each not in special]
        if usual:
            shown.append((usual[0], usual[1:]))
        shown += [(each, []) for each in special]
    return shown


def _why(fate: Fate, others: Sequence[Fate], names: Mapping[str, str]) -> Text:
    why = plain(named(_without_ids(fate.why), names))
    if others and fate.word == "kept":
        rules = Counter(rule for each in others for rule in each.rules)
        kept = ", ".join(f"{count} {rule}" for rule, count in rules.items())
        oldest = min(_when(each) for each in others)
        why.append(f"\nthe others: {kept}; back to {oldest:%a %d %b %H:%M}", style="bright_black")
    return why


def _coverage(state: BackupsState) -> Table:
    table = listing(
        ("resource", {"ratio": 1}),
        ("", {"width": 8}),
        ("plan", {"width": 8}),
        ("back to", {"width": 12}),
        ("age", {"justify": "right", "width": 5}),
        ("RPO", {"justify": "right", "width": 4}),
        ("verdict", {"width": 18}),
    )
    for one in state.protected:
        table.add_row(
            plain(one.name),
            NOUNS[one.kind],
            plan_text(one.plan),
            f"{one.oldest:%d %b %H:%M}" if one.oldest else "never",
            compact(state.at - one.newest) if one.newest else "–",
            compact(one.objective) if one.objective else "–",
            _verdict(one),
        )
    return table


def _verdict(one: Protected) -> Text:
    if one.gap is not None:
        return plain(f"✘ {one.gap.gap.value}", "bold red")
    if one.failing_key:
        return Text("✘ its key fails", style="bold red")
    if one.weaker is not None:
        return plain(f"! {one.weaker.gap.value}", "yellow")
    return Text("✔ to any moment" if one.span else "✔ to a snapshot", style="green")


def _unprotected(findings: Sequence[Finding]) -> Table:
    table = listing(
        ("resource", {"ratio": 3}), ("because", {"width": 19}), ("in full", {"ratio": 5})
    )  # fmt: skip
    for finding in findings:
        style = "bright_black" if finding.gap in ACCEPTED else "yellow"
        name = finding.name or _bare(finding.resource)
        table.add_row(plain(name), Text(finding.gap.value, style=style), plain(finding.why))
    return table


def _bare(arn: str) -> str:
    """What an ARN is about, without the account around it."""
    return arn.split(":", 5)[-1]


# ── The answer ───────────────────────────────────────────────────────────────────────────────────


def answers(state: BackupsState) -> list[tuple[str, Text]]:
    """Questions that people ask, answered in a line or two."""
    good = [one for one in state.protected if one.gap is None and not one.failing_key]
    bad = [one for one in state.protected if one not in good]
    answers = [("Can we recover?", _verdict_on_all(len(good), len(state.protected)))]
    if good:
        answers.append(("From when?", _from_when(state, good)))
    at_risk = [_risk(one, state.names) for one in bad]
    at_risk += [
        plain(f"{_who(one)}: {one.weaker.gap.value}", "yellow") for one in good if one.weaker
    ]
    at_risk.append(
        Text(
            f"{len(state.gaps)} resources that no plan protects, though nobody said so: see above.",
            style="yellow",
        )
    )
    answers.append(("What is at risk?", Text("\n").join(at_risk)))
    if state.others:
        keepers = Counter(point.keeper for point in state.others)
        kept = ", ".join(f"{count} by {keeper}" for keeper, count in sorted(keepers.items()))
        text = f"{count(len(state.others), 'recovery point')}: {kept}. Counted, never touched."
        answers.append(("Kept by others?", plain(text)))
    if state.limits:
        room = [plain(f"{one.what}: {one.why.partition(';')[0]}") for one in state.limits]
        answers.append(("Is there room?", Text("\n").join(room)))
    return answers


def _verdict_on_all(good: int, total: int) -> Text:
    if not good:
        return Text("No: no resource can be restored within its objective.", style="bold red")
    if good < total:
        verdict = f"Yes for {good} of the {total} resources that have a plan, each within its RPO."
        return Text(verdict, style="bold green")
    return Text(f"Yes: all {total} resources that have a plan, within their RPO.", "bold green")


def _from_when(state: BackupsState, good: Sequence[Protected]) -> Text:
    snapshots = [one for one in good if not one.span]
    newest = {
        plan: _oldest_age(state, [one for one in snapshots if one.plan == plan])
        for plan in dict.fromkeys(one.plan for one in snapshots)
    }
    ages = [f"{plan} {compact(age)}" for plan, age in newest.items()]
    lost = f"Lost if everything broke now: {', '.join(ages)}"
    if spans := [one for one in good if one.span]:
        age = compact(_oldest_age(state, spans))
        lost += f"; {age} of what can be restored to any moment"
    oldest = min(one.oldest for one in good if one.oldest)
    return Text(f"{lost}.\nThe furthest way back is to {oldest:%a %d %b %H:%M}.")


def _oldest_age(state: BackupsState, some: Sequence[Protected]) -> timedelta:
    return max(state.at - one.newest for one in some if one.newest)


def _risk(one: Protected, names: Mapping[str, str]) -> Text:
    failed = one.counted("failed")
    why = named(_without_ids(failed[0].why), names) if failed else ""
    found = one.gap.gap.value if one.gap else "nothing of it can be restored without its key"
    return plain(f"{_who(one)}: {found}" + (f"; {why}" if why else ""), "red")


def _who(one: Protected) -> str:
    return f"{one.name} ({NOUNS[one.kind]}, {one.plan})"
