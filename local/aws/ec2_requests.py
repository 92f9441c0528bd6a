"""How EC2 reads a request: dry runs, pages, filters and tags, and its words when they are wrong."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from moto.ec2.exceptions import (
    DryRunClientError,
    EC2ClientError,
    InvalidNextToken,
    InvalidTaggableResourceType,
    TagLimitExceeded,
)
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
TAGS_PER_RESOURCE = 50
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256

# "up to 200 values per filter": https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
VALUES_PER_FILTER = 200

Tags = dict[str, str]
Item = TypeVar("Item")
Reader = Callable[[Any], Iterable[object]]


def refused(code: str, message: str) -> EC2ClientError:
    """An error as the EC2 API words it: `code` is what boto3 shows in `Error.Code`."""
    return EC2ClientError(code, message)


def stop_on_dry_run(response: Any) -> None:
    """Every operation checks its parameters first: a dry run of what would fail fails."""
    if response._get_param("DryRun"):
        raise DryRunClientError


# --- pages ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageLimits:
    """What one operation accepts as MaxResults; without MaxResults it returns everything."""

    least: int
    most: int
    refuses_more: bool = False
    """Whether a larger value is an error; otherwise pages are just no longer than `most`."""
    with_identifiers: str | None = None
    """AWS's name of the list of identifiers, when the request has one: it cannot be paged."""

    def checked(self, response: Any) -> int | None:
        size = response._get_param("MaxResults")
        if size is None:
            return None
        if self.with_identifiers:
            raise refused(
                "InvalidParameterCombination",
                f"The parameter {self.with_identifiers} cannot be used with the parameter "
                "maxResults",
            )
        if int(size) < self.least or (self.refuses_more and int(size) > self.most):
            bound = (
                f"greater than {self.least}" if int(size) < self.least else f"less than {self.most}"
            )
            raise refused(
                "InvalidParameterValue",
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {bound}.",
            )
        return min(int(size), self.most)


@dataclass
class Pages:
    """The order in which the resources of one cloud are listed: that of first sight.

    A token is a place in that order: what is created or deleted between two pages shifts nothing.
    """

    _order: dict[str, int] = field(default_factory=dict)

    def remaining(self, response: Any, resources: Iterable[Any]) -> list[Any]:
        """The resources after the page that the request's NextToken ends, in order."""
        after = _place_of(response._get_param("NextToken"))
        places = [
            (self._order.setdefault(resource.id, len(self._order)), resource)
            for resource in resources
        ]
        later = sorted((one for one in places if one[0] > after), key=lambda one: one[0])
        return [resource for _, resource in later]

    def cut(
        self, items: Sequence[Item], size: int | None, identity: Callable[[Item], str]
    ) -> tuple[Sequence[Item], str | None]:
        """One page, and the token of the next."""
        if size is None or len(items) <= size:
            return items, None
        return items[:size], _token_of(self._order[identity(items[size - 1])])


def _token_of(place: int) -> str:
    return base64.urlsafe_b64encode(f"after:{place}".encode()).decode()


def _place_of(token: str | None) -> int:
    if token is None:
        return -1
    try:
        word, place = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        if word != "after":
            raise InvalidNextToken(token)
        return int(place)
    except (ValueError, binascii.Error) as error:
        raise InvalidNextToken(token) from error


# --- filters ----------------------------------------------------------------------------------


def chosen_by(
    response: Any,
    items: Iterable[Item],
    readers: Mapping[str, Reader],
    tags_of: Callable[[Any], Tags] | None = None,
) -> list[Item]:
    """The items that pass every filter of the request; a filter passes when any of its values does.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    """
    remaining = list(items)
    for name, values in response._filters_from_querystring().items():
        if len(values) > VALUES_PER_FILTER:
            raise refused(
                "FilterLimitExceeded",
                f"The maximum number of filter values is {VALUES_PER_FILTER}: '{name}'",
            )
        read = _tag_reader(name, tags_of) or readers.get(name)
        if read is None:
            raise refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        passes = _pattern(values)
        remaining = [
            item
            for item in remaining
            if any(passes(text) for text in map(_as_text, read(item)) if text is not None)
        ]
    return remaining


def _tag_reader(name: str, tags_of: Callable[[Any], Tags] | None) -> Reader | None:
    if tags_of is None:
        return None
    if name == "tag-key":
        return lambda item: tags_of(item).keys()
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: [tags_of(item).get(key)]
    return None


def _pattern(values: Iterable[str]) -> Callable[[str], object]:
    """Case-sensitive; `*` and `?` are wildcards unless a backslash stands before them."""
    special = {"*": ".*", "?": "."}
    parts = []
    for value in values:
        pieces = re.findall(r"\\[*?\\]|.", value, re.DOTALL)
        parts.append("".join(special.get(one) or re.escape(one[-1]) for one in pieces))
    return re.compile("|".join(f"(?:{part})" for part in parts) or r"(?!)", re.DOTALL).fullmatch


def _as_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return str(value)


# --- tags -------------------------------------------------------------------------------------


def tags_of(resource: Any) -> Tags:
    tags: Tags = resource.ec2_backend.tags.get(resource.id, {})
    return tags


def tags_as_mapping(tags: Iterable[Mapping[str, str]]) -> Tags:
    return {tag["Key"]: tag["Value"] for tag in tags}


def own_tags(backend: Any, resource_id: str) -> Tags:
    """The tags that can be copied: AWS's own cannot."""
    tags: Tags = backend.tags.get(resource_id, {})
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def listed_tags(resource: Any) -> list[dict[str, str]]:
    """For moto, which searches the tags of the whole account for those of each resource."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in tags_of(resource).items()
    ]


def _check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions"""
    seen: set[str] = set()
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value") or ""
        if not key:
            raise refused("InvalidParameterValue", "Tag key cannot be null or empty.")
        if key.lower().startswith("aws:"):
            raise refused(
                "InvalidParameterValue",
                "Tag keys starting with 'aws:' are reserved for internal use",
            )
        if len(key) > TAG_KEY_LENGTH or len(value) > TAG_VALUE_LENGTH:
            limit = f"{TAG_KEY_LENGTH} characters for a key, {TAG_VALUE_LENGTH} for a value"
            raise refused(
                "InvalidParameterValue", f"Tag '{key[:TAG_KEY_LENGTH]}' is too long: {limit}."
            )
        if key in seen:
            raise refused("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        seen.add(key)
    if len(seen) > TAGS_PER_RESOURCE:
        raise TagLimitExceeded


def checked_specifications() -> Callable[..., dict[str, Tags]]:
    """Every call that creates something passes its TagSpecifications through here."""
    moto_does = EC2Response._parse_tag_specification

    def parse(response: Any, expected_type: str | None = None) -> dict[str, Tags]:
        given = response._get_param("TagSpecification", []) or response._get_param(
            "TagSpecifications", []
        )
        kinds = [one.get("ResourceType") for one in given]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise refused(
                    "InvalidParameterValue",
                    f"Duplicate tag specification for resource type '{kind}'.",
                )
        for one in given:
            _check_tags(one.get("Tags", []))
        parsed: dict[str, Tags] = moto_does(response, expected_type)
        return parsed

    return parse


def without_reserved_tags(moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """CreateTags and DeleteTags of a caller."""

    def checked(response: Any) -> Any:
        _check_tags(response._get_param("Tags", []))
        return moto_does(response)

    return checked


def snapshot_tags(response: Any) -> Tags:
    specifications: dict[str, Tags] = response._parse_tag_specification()
    for kind in specifications.keys() - {"snapshot"}:
        raise InvalidTaggableResourceType(kind)
    return dict(specifications.get("snapshot", {}))
