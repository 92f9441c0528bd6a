"""What moto and botocore work out again for every call, worked out once: a box makes many calls.

None of it changes an answer. Together it is a quarter of what a small call costs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.model import StructureShape
from botocore.parsers import BaseJSONParser
from botocore.useragent import UserAgentString
from moto.core import responses
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.dynamo_type import DynamoType

from local.aws.serializing import PLAIN_TYPES
from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Remember operations, and take short cuts where a value is plain."""
    # The names of a class's operations: extensions have put theirs in place by the first call.
    names = cache(method_names_from_class)
    replace(cloud.stack, responses, "method_names_from_class", names)
    # Of each request anew from what the process is, for nobody to read.
    replace(cloud.stack, UserAgentString, "to_string", lambda _: "Boto3/in-the-box")
    _install_attribute_values(cloud)


def _install_attribute_values(cloud: Cloud) -> None:
    def structure(parser: BaseJSONParser, shape: StructureShape, value: Any) -> Any:
        if shape.name == "AttributeValue" and _is_plain(value):
            return value
        return structure_as_botocore(parser, shape, value)

    def size(value: DynamoType) -> int:
        if value.type == "S":
            text: str = value.value
            return len(text) if text.isascii() else len(text.encode())
        as_moto: int = size_as_moto(value)
        return as_moto

    structure_as_botocore = replace(cloud.stack, BaseJSONParser, "_handle_structure", structure)
    size_as_moto = replace(cloud.stack, DynamoType, "size", size)


def _is_plain(value: Any) -> bool:
    """Whether an attribute value means what it is written as: no bytes in it anywhere."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return all(map(_is_plain, content.values()))
    if kind == "L":
        return all(map(_is_plain, content))
    return kind in PLAIN_TYPES
