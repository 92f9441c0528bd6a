"""Answers that come in pages."""

from collections.abc import Iterator
from typing import Any

from watchkeeper.aws.errors import translated


def paged(
    client: Any, operation: str, key: str, size: int, **arguments: Any
) -> Iterator[dict[str, Any]]:
    """Every item under `key`, page after page of at most `size`; `operation` as boto3 spells it."""
    pages = client.get_paginator(operation).paginate(
        **arguments, PaginationConfig={"PageSize": size}
    )
    call = client.meta.method_to_api_mapping[operation]
    with translated(f"{client.meta.service_model.service_name}:{call}"):
        for page in pages:
            yield from page[key]
