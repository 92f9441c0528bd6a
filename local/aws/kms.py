"""KMS as AWS documents it for keys that come and go, where moto keeps every key for ever.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- keys whose deletion is scheduled go when their day has come;
- the states in which a key can be enabled, disabled, scheduled for deletion or kept after all;
- keys of another account, which are denied, and of another Region, which do not exist;
- the events that AWS sends. There is a trail in the account, so CloudTrail tells of calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import NotFoundException, ValidationException
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse

from local.aws.ebs import Box, stamp
from local.aws.ec2 import Host
from local.replacing import replace

# "The waiting period, specified in number of days": 7 to 30, and 30 if none is given.
# https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
SHORTEST_WAIT, LONGEST_WAIT = 7, 30

# "Key state table", ScheduleKeyDeletion: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
DELETABLE = frozenset({"Enabled", "Disabled", "PendingImport", "Unavailable"})


def install(cloud: Box) -> Kms:
    """Make moto's KMS behave like this until `cloud.stack` closes; returns the switches."""
    kms = Kms(cloud)
    for name, handler in kms.operations().items():
        replace(cloud.stack, KmsResponse, name, _as_method(handler))
    found = KmsResponse._validate_cmk_id
    replace(cloud.stack, KmsResponse, "_validate_cmk_id", kms.within_reach(found))
    return kms


def installed_in(cloud: Host) -> Kms:
    """The switches of a box's KMS, e.g. `installed_in(cloud).put_into("Unavailable", arn)`."""
    kms: Kms = cloud.extensions[__name__]
    return kms


def _as_method(handler: Callable[[Any], str]) -> Callable[[Any], str]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> str:
        return handler(response)

    return operation


@dataclass
class Kms:
    """What the installed KMS answers by itself, and its switches."""

    cloud: Box

    def put_into(self, state: str, arn: str) -> None:
        """Put a key into a state that takes more than KMS to get into, such as `Unavailable`."""
        self._key(arn).key_state = state
        self._key(arn).enabled = state == "Enabled"

    def now(self) -> datetime:
        return self.cloud.clock.now()

    @property
    def backend(self) -> Any:
        """Moto's KMS of this account and Region."""
        return kms_backends[self.cloud.account_id][self.cloud.region]

    def operations(self) -> dict[str, Callable[[Any], str]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "disable_key": self.disable_key,
            "enable_key": self.enable_key,
            "schedule_key_deletion": self.schedule_key_deletion,
            "cancel_key_deletion": self.cancel_key_deletion,
        }

    def within_reach(self, moto_does: Callable[..., None]) -> Callable[..., None]:
        """Whether the key exists for this caller, in this Region."""

        def validate(response: Any, key_id: str) -> None:
            if key_id.startswith("arn:"):
                _, _, _, region, account, _ = key_id.split(":", 5)
                if region != response.region:
                    raise NotFoundException(f"Invalid arn {region}")
                if account != response.current_account:
                    raise JsonRESTError(
                        "AccessDeniedException",
                        f"User: arn:aws:sts::{response.current_account}:assumed-role/in-the-box "
                        f"is not authorized to access the resource {key_id}",
                    )
            moto_does(response, key_id)

        return validate

    # --- what is done to keys ---

    def disable_key(self, response: Any) -> str:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html"""
        key = self._asked_for(response, among={"Enabled", "Disabled"})
        self.backend.disable_key(key.id)
        self._tell_of_call("DisableKey", key, {})
        return json.dumps(None)

    def enable_key(self, response: Any) -> str:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKey.html"""
        key = self._asked_for(response, among={"Enabled", "Disabled"})
        self.backend.enable_key(key.id)
        self._tell_of_call("EnableKey", key, {})
        return json.dumps(None)

    def schedule_key_deletion(self, response: Any) -> str:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html"""
        key = self._asked_for(response, among=DELETABLE)
        days = response._get_param("PendingWindowInDays", LONGEST_WAIT)
        if not SHORTEST_WAIT <= days <= LONGEST_WAIT:
            raise ValidationException(
                f"PendingWindowInDays must be between {SHORTEST_WAIT} and {LONGEST_WAIT}"
            )
        deletion_date = self.backend.schedule_key_deletion(key.id, days)
        due = key.deletion_date
        self.cloud.clock.at(
            self.now() + timedelta(days=days), lambda: self._delete(key, due), f"{key.id} goes"
        )
        self._tell_of_call("ScheduleKeyDeletion", key, {"pendingWindowInDays": days})
        answer = {"KeyState": key.key_state, "PendingWindowInDays": days}
        return json.dumps({"KeyId": key.arn, "DeletionDate": deletion_date, **answer})

    def cancel_key_deletion(self, response: Any) -> str:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html"""
        key = self._asked_for(response, among={"PendingDeletion"})
        self.backend.cancel_key_deletion(key.id)
        self._tell_of_call("CancelKeyDeletion", key, {})
        return json.dumps({"KeyId": key.arn})

    def _asked_for(self, response: Any, *, among: set[str] | frozenset[str]) -> Any:
        key_id = response._get_param("KeyId")
        response._validate_cmk_id(key_id)
        key = self._key(key_id)
        if key.key_state not in among:
            # https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
            words = "pending deletion" if key.key_state == "PendingDeletion" else key.key_state
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is {words}.")
        return key

    def _key(self, key_id: str) -> Any:
        return self.backend.keys[self.backend.get_key_id(key_id)]

    def _delete(self, key: Any, due: datetime) -> None:
        """Its day has come, unless its deletion was cancelled meanwhile."""
        if key.deletion_date == due:
            self.backend.delete_key(key.id)
            self._send("KMS CMK Deletion", [key.arn], {"key-id": key.id})

    # --- events ---

    def _tell_of_call(self, name: str, key: Any, parameters: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/kms/latest/developerguide/ct-schedule-key-deletion.html and
        its neighbours.
        """
        answered = {"keyId": key.arn}
        if name == "ScheduleKeyDeletion":
            gone = self.now() + timedelta(days=parameters["pendingWindowInDays"])
            date = f"{gone:%b} {gone.day}, {gone:%Y %H:%M:%S %p}"
            answered |= {"keyState": key.key_state, "deletionDate": date}
        detail = {
            "eventVersion": "1.08",
            "eventTime": stamp(self.now()),
            "eventSource": "kms.amazonaws.com",
            "eventName": name,
            "awsRegion": self.cloud.region,
            "requestParameters": {**parameters, "keyId": key.id},
            "responseElements": answered,
            "readOnly": False,
            "resources": [
                {"accountId": key.account_id, "type": "AWS::KMS::Key", "ARN": key.arn},
            ],
            "eventType": "AwsApiCall",
            "recipientAccountId": self.cloud.account_id,
        }
        self._send("AWS API Call via CloudTrail", [], detail)

    def _send(self, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
        self.cloud.events.send(
            {
                "detail-type": detail_type,
                "source": "aws.kms",
                "resources": resources,
                "detail": detail,
            }
        )
