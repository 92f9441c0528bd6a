"""What the box's own resource types of CloudFormation have in common."""

from __future__ import annotations

from typing import Any

from local.mischief import NotInTheBox


class Created:
    """A physical id, and attributes that were known at creation."""

    def __init__(self, physical_id: str, **attributes: str) -> None:
        self.physical_resource_id = physical_id
        self.attributes = attributes

    @staticmethod
    def cloudformation_name_type() -> str:
        """No property holds the name; moto makes one up."""
        return ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether Fn::GetAtt may ask for it."""
        return attr == "Arn"

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """The answer to Fn::GetAtt."""
        return self.attributes[attribute_name]

    @classmethod
    def update_from_cloudformation_json(cls, *_: Any, **__: Any) -> Any:
        """Stack updates are not in the box: it deploys afresh each time."""
        raise NotInTheBox(f"update of {cls.__name__}")

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
        """Stack deletion is not in the box: it is thrown away as a whole."""
        raise NotInTheBox(f"deletion of {cls.__name__}")

    def is_created(self) -> bool:
        """At once."""
        return True
