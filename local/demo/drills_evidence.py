"""Leaves behind what drills have filed in the evidence bucket: the documents and their pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from local.demo.words import NOUNS, span
from watchkeeper import naming
from watchkeeper.drills.model import Verdict

if TYPE_CHECKING:
    from local.demo.drills_state import DrillsState, Filed


def keep(state: DrillsState, folder: Path) -> None:
    """As `aws s3 sync` would: under their keys, with the times of their objects. Those of another
    demo would be no part of these chains.
    """
    for old in (folder / naming.EVIDENCE).rglob("*.json"):
        if naming.parse_evidence_key(old.relative_to(folder).as_posix()):
            old.unlink()
            old.with_suffix(".html").unlink(missing_ok=True)
    for one in state.filed:
        for key, content in ((one.key, one.document), (one.page_key, one.page)):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            at = one.at.timestamp()
            os.utime(path, (at, at))


def shown(state: DrillsState) -> dict[str, str]:
    """A page to open of each kind that passed, and of each restore that did not."""
    pages: dict[str, str] = {}
    kinds = set()
    for one in reversed(state.restores):
        passed = one.evidence.verdict is Verdict.PASSED
        if not passed or one.evidence.kind not in kinds:
            pages[one.page_key] = _said(one)
        if passed:
            kinds.add(one.evidence.kind)
    return pages


def _said(one: Filed) -> str:
    found = one.evidence
    took = f" in {span(found.rto_reached)}" if found.rto_reached is not None else ""
    return f"{found.name} ({NOUNS[found.kind]}): {found.verdict.value}{took}"
