"""What a restore of a database is told of the original's settings, what is put back after it, and
what differs in the end. Settings have the names of Describe, as in the manifest.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from watchkeeper.recovery.model import (
    ByHand,
    Change,
    Difference,
    Settings,
    command,
    compared,
    is_same,
    theirs,
    with_numbers,
)

Read = Callable[[Any, Settings], Any]
"""The value to tell, given the setting's and all others; None if it is better not told."""

GP3_IOPS, GP3_THROUGHPUT = 3000, 125
"""What a small gp3 volume has, and does not let itself be told:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html
"""


# ── What is told as it is made ────────────────────────────────────────────────────────────────────


def _plain(value: Any, _: Settings) -> Any:
    return None if value in ("", [], {}) else value


def _if_any(value: Any, _: Settings) -> Any:
    """Of what is off, or none, by default: not every engine lets itself be told that."""
    return value or None


def _own(names: Any, _: Settings) -> str | None:
    """Of groups the one that is not a default one: those RDS finds by itself."""
    listed = [names] if isinstance(names, str) else names
    return next((one for one in listed if not one.startswith(("default.", "default:"))), None)


def _above_gp3(least: int) -> Read:
    def read(value: Any, settings: Settings) -> Any:
        is_small = settings.get("StorageType") == "gp3" and value <= least
        return None if is_small else value or None

    return read


def _capacity(value: Any, _: Settings) -> Any:
    return with_numbers(value, ("MinCapacity", "MaxCapacity"))


def _of_readable_standbys(value: Any, settings: Settings) -> Any:
    """Aurora's clusters show some settings that only the other kind of cluster is told."""
    return value if settings.get("DBClusterInstanceClass") else None


Told = Mapping[str, tuple[str, Read]]
"""By the name of a setting, the parameter that tells it."""
BOTH: Told = {
    "BackupRetentionPeriod": ("BackupRetentionPeriod", _if_any),
    "CopyTagsToSnapshot": ("CopyTagsToSnapshot", _if_any),
    "DBSubnetGroup": ("DBSubnetGroupName", _plain),
    "DeletionProtection": ("DeletionProtection", _if_any),
    "EnabledCloudwatchLogsExports": ("EnableCloudwatchLogsExports", _plain),
    "EngineLifecycleSupport": ("EngineLifecycleSupport", _plain),
    "IAMDatabaseAuthenticationEnabled": ("EnableIAMDatabaseAuthentication", _if_any),
    "NetworkType": ("NetworkType", _plain),
    "PreferredBackupWindow": ("PreferredBackupWindow", _plain),
    "StorageType": ("StorageType", _plain),
    "VpcSecurityGroups": ("VpcSecurityGroupIds", _plain),
}
INSTANCE: Told = {
    **BOTH,
    "AutoMinorVersionUpgrade": ("AutoMinorVersionUpgrade", _plain),
    "BackupTarget": ("BackupTarget", _plain),
    "CACertificateIdentifier": ("CACertificateIdentifier", _plain),
    "CustomIamInstanceProfile": ("CustomIamInstanceProfile", _plain),
    "CustomerOwnedIpEnabled": ("EnableCustomerOwnedIp", _if_any),
    "DBInstanceClass": ("DBInstanceClass", _plain),
    "DBParameterGroups": ("DBParameterGroupName", _own),
    "DbInstancePort": ("Port", _if_any),  # 0 is shown of many; a restore keeps the port
    "DedicatedLogVolume": ("DedicatedLogVolume", _if_any),
    "Iops": ("Iops", _above_gp3(GP3_IOPS)),
    "LicenseModel": ("LicenseModel", _plain),
    "MultiAZ": ("MultiAZ", _if_any),
    "OptionGroupMemberships": ("OptionGroupName", _own),
    "ProcessorFeatures": ("ProcessorFeatures", _plain),
    "PubliclyAccessible": ("PubliclyAccessible", _plain),
    "StorageThroughput": ("StorageThroughput", _above_gp3(GP3_THROUGHPUT)),
}
CLUSTER: Told = {
    **BOTH,
    "BacktrackWindow": ("BacktrackWindow", _if_any),
    "DBClusterInstanceClass": ("DBClusterInstanceClass", _plain),
    "DBClusterOptionGroupMemberships": ("OptionGroupName", _own),
    "DBClusterParameterGroup": ("DBClusterParameterGroupName", _own),
    "EngineMode": ("EngineMode", _plain),
    "Iops": ("Iops", _of_readable_standbys),
    "Port": ("Port", _if_any),
    "PubliclyAccessible": ("PubliclyAccessible", _of_readable_standbys),
    "ScalingConfigurationInfo": ("ScalingConfiguration", _plain),
    "ServerlessV2ScalingConfiguration": ("ServerlessV2ScalingConfiguration", _capacity),
}
MEMBER: Told = {
    "AutoMinorVersionUpgrade": ("AutoMinorVersionUpgrade", _plain),
    "CACertificateIdentifier": ("CACertificateIdentifier", _plain),
    "DBInstanceClass": ("DBInstanceClass", _plain),
    "DBParameterGroups": ("DBParameterGroupName", _own),
    "PreferredMaintenanceWindow": ("PreferredMaintenanceWindow", _plain),
    "PromotionTier": ("PromotionTier", _plain),
    "PubliclyAccessible": ("PubliclyAccessible", _plain),
}


def told(settings: Settings, known: Told) -> dict[str, Any]:
    """The arguments of the call that restores, or that makes a member."""
    values = {
        parameter: read(settings[name], settings)
        for name, (parameter, read) in known.items()
        if settings.get(name) is not None
    }
    return {parameter: value for parameter, value in values.items() if value is not None}


# ── What is put back after it ─────────────────────────────────────────────────────────────────────

TOGETHER: tuple[Mapping[str, str], ...] = (
    {"MonitoringInterval": "MonitoringInterval", "MonitoringRoleArn": "MonitoringRoleArn"},
    {
        "PerformanceInsightsEnabled": "EnablePerformanceInsights",
        "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
        "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
        "DatabaseInsightsMode": "DatabaseInsightsMode",
    },
    {"PreferredMaintenanceWindow": "PreferredMaintenanceWindow"},
    # Told before; what was told in vain is told once more.
    {"BackupRetentionPeriod": "BackupRetentionPeriod"},
    {"PreferredBackupWindow": "PreferredBackupWindow"},
    {"CopyTagsToSnapshot": "CopyTagsToSnapshot"},
    {"DeletionProtection": "DeletionProtection"},
    {"IAMDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication"},
)
"""Settings that one call changes together, each with its parameter; RDS refuses some of them alone.
"""
OF_INSTANCES: tuple[Mapping[str, str], ...] = (
    *TOGETHER,
    {"AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade"},
    {"CACertificateIdentifier": "CACertificateIdentifier"},
    {"MaxAllocatedStorage": "MaxAllocatedStorage"},
    {"MultiAZ": "MultiAZ"},
    {"PubliclyAccessible": "PubliclyAccessible"},
)
OF_CLUSTERS: tuple[Mapping[str, str], ...] = (
    *TOGETHER,
    {"HttpEndpointEnabled": "EnableHttpEndpoint"},
)
OF_MEMBERS: tuple[Mapping[str, str], ...] = (
    *TOGETHER[:3],
    {"PromotionTier": "PromotionTier"},
)


def changes(
    wanted: Settings, found: Settings, what: str, groups: tuple[Mapping[str, str], ...], of: str
) -> Iterator[Change]:
    """One for each group in which something differs; `of` ends its name: ` of ledger-1`, say."""
    for group in groups:
        if any(not is_same(wanted.get(name), found.get(name)) for name in group if name in wanted):
            arguments = {
                parameter: wanted[name]
                for name, parameter in group.items()
                if wanted.get(name) not in (None, "")
            }
            yield Change(f"{next(iter(group))}{of}", what, arguments)


# ── What differs in the end ───────────────────────────────────────────────────────────────────────

LEFT_TO_PEOPLE = frozenset({
    "AssociatedRoles", "CustomEndpoints", "DomainMemberships", "GlobalClusterIdentifier",
    "MasterUserSecret", "TdeCredentialArn",
})  # fmt: skip
"""Settings that `by_hand` is about."""
WHYS = {
    "AvailabilityZone": "RDS chose it: the original's may be what has failed",
    "AvailabilityZones": "RDS chose them: one of the original's may be what has failed",
    "EngineVersion": "it is the snapshot's: the original was upgraded after that",
}


def differences(wanted: Settings, found: Settings, of: str = "") -> list[Difference]:
    return compared(_told_apart(wanted, of), _told_apart(found, of), WHYS)


def _told_apart(settings: Settings, of: str) -> dict[str, Any]:
    return {
        f"{name}{of}": theirs(value) if name == "Tags" else value
        for name, value in settings.items()
        if name not in LEFT_TO_PEOPLE and name not in ("Members", "DBInstanceIdentifier")
    }


# ── What is left to people ────────────────────────────────────────────────────────────────────────


def by_hand(settings: Settings, name: str, *, is_cluster: bool) -> Iterator[ByHand]:
    """Settings that no restore takes, or that are about more than this one database."""
    kind = "cluster" if is_cluster else "instance"
    modify = ("aws", "rds", f"modify-db-{kind}", f"--db-{kind}-identifier", name)
    yield ByHand(
        "Its master password is the one that the original had when the recovery point was made. To "
        "give it another:",
        (command(*modify, "--master-user-password", "<password>", "--apply-immediately"),),
    )
    if settings.get("MasterUserSecret"):
        yield ByHand(
            "RDS kept the original's password in Secrets Manager; to let it keep this one's:",
            (command(*modify, "--manage-master-user-password", "--apply-immediately"),),
        )
    for role in settings.get("AssociatedRoles") or ():
        feature = ("--feature-name", role["FeatureName"]) if role.get("FeatureName") else ()
        add = ("aws", "rds", f"add-role-to-db-{kind}", f"--db-{kind}-identifier", name)
        yield ByHand(
            "The original could use this role:",
            (command(*add, "--role-arn", role["RoleArn"], *feature),),
        )
    for domain in settings.get("DomainMemberships") or ():
        role = domain.get("IAMRoleName")
        of_role = ("--domain-iam-role-name", role) if role else ()
        joined = command(*modify, "--domain", domain.get("Domain", "<domain>"), *of_role)
        yield ByHand("The original was a member of a directory:", (joined,))
    for setting, remark in REMARKS.items():
        if value := settings.get(setting):
            yield ByHand(f"{remark}: {value if isinstance(value, str) else ', '.join(value)}")


REMARKS = {
    "CustomEndpoints": "The original had endpoints of its own; make them again if they are used",
    "GlobalClusterIdentifier": "The original was part of a global cluster; this one is not",
    "TdeCredentialArn": "The original was encrypted by Oracle's TDE with this credential",
}
