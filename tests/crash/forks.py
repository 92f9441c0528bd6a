"""What would have happened: one story, told on in a forked process from every call that it makes.

The story runs once, calmly. At each AWS call of a function the process forks: in the child that
call is where the invocation dies, or where its twin runs, and the child goes on to the end of the
same story. All branches share what came before, so that hundreds of them cost seconds.
"""

import gc
import os
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from local.cloud import Cloud
from local.functions import Call
from local.mischief import Death, Twin

AT_ONCE = 2
"""Branches that run side by side: as many as the smallest CI machine has cores."""

EVERY_CALL = bool(os.environ.get("EVERY_CALL"))
"""Leave nothing out, however long it takes: what is left out else is like what is told."""

Outcome = TypeVar("Outcome")


@dataclass
class Branch(Generic[Outcome]):
    """How one branch of the story ended."""

    name: str
    """Where it left the calm story: `TakeBackups dies after call 17`."""
    outcome: Outcome | None = None
    error: str = ""
    """The traceback, if it did not end."""


@dataclass
class Story(Generic[Outcome]):
    """A story and its branches; `calm` is how it ends when nothing goes wrong."""

    calm: Outcome
    calls: list[Call]
    branches: list[Branch[Outcome]]

    def gone_wrong(self, is_right: Callable[[Outcome], bool]) -> list[str]:
        """The branches that do not end as they should, each with how it ended; the calm story
        must.
        """
        assert is_right(self.calm), self.calm
        return [
            f"{branch.name}: {branch.error or branch.outcome}"
            for branch in self.branches
            if branch.outcome is None or not is_right(branch.outcome)
        ]


@dataclass
class _Forks:
    """In place of the box's own deaths and twins: forks at each call instead of hitting it."""

    cloud: Cloud
    functions: frozenset[str]
    folder: Path
    kinds: tuple[str, ...]
    wanted: Callable[[int], bool]
    taken: str = ""
    """The branch that this process is; empty in the calm one."""
    names: list[str] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    seen: int = 0

    def deaths_due(self, function: str) -> list[Death]:
        if self.taken or function not in self.functions:
            return []
        self.seen += 1
        if not self.wanted(self.seen):
            return []
        # To die before a later call of an invocation is to die after the call before it.
        is_first = self.cloud.functions.running and not self.cloud.functions.running.calls
        if is_first and "death" in self.kinds and self._fork(f"{function} dies before"):
            return [Death(function, 1, "before")]
        if "death" in self.kinds and self._fork(f"{function} dies after"):
            return [Death(function, 1, "after")]
        return []

    def twins_due(self, function: str) -> list[Twin]:
        if self.taken or function not in self.functions or "twin" not in self.kinds:
            return []
        if self.wanted(self.seen) and self._fork(f"{function} meets its twin at"):
            return [Twin(function, 1)]
        return []

    def _fork(self, what: str) -> bool:
        """True in the child, which is this branch from here on."""
        name = f"{what} call {self.seen}"
        while len(self.running) >= AT_ONCE:
            self._wait()
        child = _forked()
        if child == 0:
            self.taken = name
            return True
        self.names.append(name)
        self.running.add(child)
        return False

    def _wait(self) -> None:
        ended, _ = os.waitpid(next(iter(self.running)), 0)
        self.running.remove(ended)

    def wait_for_all(self) -> None:
        while self.running:
            self._wait()

    def file_of(self, name: str) -> Path:
        return self.folder / name.replace(" ", "-")


def explore(
    cloud: Cloud,
    tell: Callable[[], Outcome],
    *,
    functions: set[str],
    kinds: tuple[str, ...] = ("death", "twin"),
    wanted: Callable[[int], bool] = lambda call: True,
) -> Story[Outcome]:
    """Tell the story, and tell it on from every call of `functions` that is `wanted`."""
    first = len(cloud.calls)
    with tempfile.TemporaryDirectory() as folder:
        forks = _Forks(cloud, frozenset(functions), Path(folder), kinds, wanted)
        mischief = cloud.mischief
        deaths, twins = mischief.deaths_due, mischief.twins_due
        mischief.deaths_due = forks.deaths_due  # type: ignore[method-assign]
        mischief.twins_due = forks.twins_due  # type: ignore[method-assign]
        # A collection would touch, and so copy, every page that the branches share.
        gc.disable()
        try:
            calm = tell()
        except BaseException:
            if forks.taken:
                _leave(
                    forks.file_of(forks.taken), Branch(forks.taken, error=traceback.format_exc())
                )
            raise
        else:
            if forks.taken:
                _leave(forks.file_of(forks.taken), Branch(forks.taken, calm))
        finally:
            gc.enable()
            forks.wait_for_all()
            mischief.deaths_due = deaths  # type: ignore[method-assign]
            mischief.twins_due = twins  # type: ignore[method-assign]
        branches: list[Branch[Outcome]] = [_read(forks.file_of(name), name) for name in forks.names]
        return Story(calm, cloud.calls[first:], branches)


def aside(story: Callable[[], Outcome]) -> Outcome:
    """What comes of a story told in a copy of the world; the world itself goes on untouched."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcome"
        child = _forked()
        if child == 0:
            try:
                branch = Branch("aside", story())
            except BaseException:  # noqa: BLE001, whatever it is must not run on as a second pytest
                branch = Branch("aside", error=traceback.format_exc())
            _leave(file, branch)
        os.waitpid(child, 0)
        branch = _read(file, "aside")
    if branch.error or branch.outcome is None:
        raise AssertionError(f"the story did not end:\n{branch.error}")
    return branch.outcome


def _forked() -> int:
    with warnings.catch_warnings():
        # pytest-xdist has a thread that reads from its socket; the child never uses it.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _leave(file: Path, branch: Branch[Outcome]) -> NoReturn:
    """Write down how the branch ended, and end the child without pytest noticing."""
    file.write_bytes(pickle.dumps(branch))
    os._exit(0)


def _read(file: Path, name: str) -> Branch[Outcome]:
    if not file.exists():
        return Branch(name, error="the process ended without a word")
    branch: Branch[Outcome] = pickle.loads(file.read_bytes())
    return branch


READS = ("Describe", "Get", "List", "Query", "BatchGet", "Scan", "Filter", "Lookup")


def explore_changes(
    cloud: Cloud,
    function: str,
    kind: str,
    tell: Callable[[], Outcome],
    share: tuple[int, int] = (0, 1),
) -> Story[Outcome]:
    """Tell the story, and tell it on from every call of a function that changes something; of a
    `share` of (1, 3), from the second of them, the fifth, and so on. With EVERY_CALL=1 from every
    call whatsoever.
    """
    if EVERY_CALL:
        return explore(cloud, tell, functions={function}, kinds=(kind,))
    number, of = share
    changing = set(sorted(changing_calls(cloud, function, tell))[number::of])
    return explore(cloud, tell, functions={function}, kinds=(kind,), wanted=changing.__contains__)


def changing_calls(cloud: Cloud, function: str, tell: Callable[[], object]) -> set[int]:
    """The numbers of a function's calls in a story that change the world, and of its first one.

    To die after a call that only reads is to die after the last one before it that changed
    something: nobody can tell the two apart.
    """

    def story() -> list[str]:
        first = len(cloud.calls)
        tell()
        return [one.operation for one in cloud.calls[first:] if one.function == function]

    operations = enumerate(aside(story), start=1)
    return {1} | {number for number, name in operations if not name.startswith(READS)}
