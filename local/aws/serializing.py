"""moto's answers, written faster.

moto looks for every possible member of an answer under several spellings, one by one. For
DynamoDB, where each value is a structure of ten possible members, that was two thirds of a
simulated week. What is written does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.model import Shape, StructureShape
from moto.core.serialize import AttributePicker, AttributePickerContext, BaseJSONSerializer

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud

# Attribute values that are in an answer just as they are in the table.
PLAIN_TYPES = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})

Spellings = tuple[str, ...]


def install(cloud: Cloud) -> None:
    """Remember spellings, and write attribute values without looking at what they are not."""
    _install_spellings(cloud)
    _install_attribute_values(cloud)


def _install_spellings(cloud: Cloud) -> None:
    known: dict[tuple[str, ...], Spellings] = {}

    def pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
        if type(context.obj) is not dict:
            return pick_as_moto(picker, context)
        where = _where(picker, context)
        if where not in known:
            known[where] = tuple(picker.get_possible_keys(context))
        if any("." in name for name in known[where]):  # a path into the answer
            return pick_as_moto(picker, context)
        value = next((context.obj[name] for name in known[where] if name in context.obj), None)
        path = f"{context.key_path}.{context.key}"
        for end, transform in picker.response_transformers.items():
            if path.endswith(end):
                return transform(value)
        return value

    pick_as_moto = replace(cloud.stack, AttributePicker, "__call__", pick)


def _install_attribute_values(cloud: Cloud) -> None:
    def structure(
        serializer: BaseJSONSerializer, written: Any, value: Any, shape: StructureShape, key: str
    ) -> None:
        if shape.name == "AttributeValue" and key and _is_plain(value):
            written[key] = value
        else:
            structure_as_moto(serializer, written, value, shape, key)

    name = "_serialize_type_structure"
    structure_as_moto = replace(cloud.stack, BaseJSONSerializer, name, structure)


def _where(picker: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
    """Everything that the spellings of a member of a dict depend on."""
    shape = context.shape
    parent = getattr(shape, "parent", None)
    return (
        type(picker).__name__,
        context.service_model.service_name if context.service_model else "",
        parent.name if isinstance(parent, Shape) else "",
        shape.name,
        context.key,
    )


def _is_plain(value: Any) -> bool:
    """Whether an attribute value is written as it is: no bytes in it anywhere."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return all(_is_plain(each) for each in content.values())
    if kind == "L":
        return all(_is_plain(each) for each in content)
    return kind in PLAIN_TYPES
