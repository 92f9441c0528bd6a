"""What importing each handler costs a cold start, against a bare handler of the same libraries.

Each import is timed inside a fresh process, without the interpreter's own start, in CPU time: what
else the machine does meanwhile does not count. Bytecode comes from a cache that a first, uncounted
import filled. Milliseconds here are not Lambda's: compare the ratios.
Where the time goes, `python -X importtime -c "import app"` tells in the function's folder.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]

RUNS = 15
"""Single imports vary by a fifth on a busy machine, the median of fifteen by a few per cent."""

LARGEST_RATIO = 1.25
"""A handler may add a quarter to what its libraries cost anyway: about 50 ms of a cold start."""

BARE = """
import boto3
from aws_lambda_powertools import Logger, Metrics
from pydantic import BaseModel

logger = Logger()
metrics = Metrics()


class Event(BaseModel):
    trigger: str


def handler(event, context):
    return Event.model_validate(event).trigger
"""

TIME_THE_IMPORT = """
import time
start = time.process_time()
import app
print(time.process_time() - start)
"""


def environment(folder: Path, bytecode: Path) -> dict[str, str]:
    """The process's environment: what template.yaml gives every function, with values made up."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    names = template["Globals"]["Function"]["Environment"]["Variables"]
    ours = dict.fromkeys(names, "/bench") | {"POWERTOOLS_LOG_LEVEL": "INFO"}
    inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    path = os.pathsep.join([str(folder), str(ROOT / "layers/watchkeeper")])
    return inherited | ours | {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(bytecode)}


def seconds_to_import(folder: Path, bytecode: Path) -> float:
    """CPU time of one import of the folder's app.py, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-c", TIME_THE_IMPORT],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder, bytecode),
    )
    return float(finished.stdout.splitlines()[-1])


def measure(folders: list[Path], bytecode: Path) -> dict[Path, float]:
    """Median seconds of each folder. In rounds: a slow minute touches every folder alike."""
    for folder in folders:
        seconds_to_import(folder, bytecode)
    rounds = [
        {folder: seconds_to_import(folder, bytecode) for folder in folders} for _ in range(RUNS)
    ]
    return {folder: median(times[folder] for times in rounds) for folder in folders}


def report(bare: float, handlers: dict[str, float]) -> Table:
    table = Table(title=f"Import time, median of {RUNS} fresh processes")
    table.add_column("handler")
    table.add_column("ms", justify="right")
    table.add_column("ratio", justify="right")
    table.add_row("bare: boto3, Powertools, pydantic", f"{bare * 1000:.0f}", "1.00")
    for name, seconds in handlers.items():
        style = "red" if seconds / bare > LARGEST_RATIO else None
        table.add_row(name, f"{seconds * 1000:.0f}", f"{seconds / bare:.2f}", style=style)
    return table


def main() -> int:
    """The exit status: 1 if a handler costs more than it may."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare")
        bare.mkdir()
        (bare / "app.py").write_text(BARE)
        functions = [app.parent for app in sorted(ROOT.glob("functions/*/app.py"))]
        seconds = measure([bare, *functions], Path(folder, "bytecode"))
    handlers = {function.name: seconds[function] for function in functions}
    Console().print(report(seconds[bare], handlers))
    worst = max(handlers.values()) / seconds[bare]
    if worst > LARGEST_RATIO:
        print(
            f"A handler may cost {LARGEST_RATIO} times the bare one; the slowest costs {worst:.2f}."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
