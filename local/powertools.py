"""Powertools' objects that live longer than one function.

A layer makes its Logger and Metrics once per process. In Lambda that process belongs to one
function; here it is this one, and may have imported the layer before there was a box: without the
function's environment, and with another standard output. So they are told at each invocation whose
they are.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aws_lambda_powertools import Logger, Metrics

from local.output import OUTPUT


def powertools_of(folders: tuple[Path, ...]) -> list[Logger | Metrics]:
    """The Loggers and Metrics at the top of every imported module in these folders."""
    found: dict[int, Logger | Metrics] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is None or not any(Path(file).is_relative_to(folder) for folder in folders):
            continue
        for value in vars(module).values():
            if isinstance(value, Logger | Metrics):
                found[id(value)] = value
    return list(found.values())


@contextmanager
def owned_by(environment: dict[str, str], tools: list[Logger | Metrics]) -> Iterator[None]:
    """Let these objects be those of the process with this environment.

    Metrics that an outer invocation has not yet written are kept for it: a twin does not write
    them.
    """
    kept = []
    for tool in tools:
        if isinstance(tool, Logger):
            _adopt_logger(tool, environment)
        else:
            tool.provider.service = environment.get("POWERTOOLS_SERVICE_NAME", "")
            tool.provider.namespace = environment.get("POWERTOOLS_METRICS_NAMESPACE", "")
            kept += [(each, dict(each)) for each in (tool.metric_set, tool.metadata_set)]
    for unwritten, _ in kept:
        unwritten.clear()
    try:
        yield
    finally:
        for unwritten, before in kept:
            unwritten.clear()
            unwritten.update(before)


def _adopt_logger(logger: Logger, environment: dict[str, str]) -> None:
    logger.append_keys(service=environment.get("POWERTOOLS_SERVICE_NAME", "service_undefined"))
    logger.setLevel(environment.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    handler = logger.registered_handler
    if isinstance(handler, logging.StreamHandler):
        handler.stream = OUTPUT
