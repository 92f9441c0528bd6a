"""Which settings a restore of a database is told, and reads back; all the others it cannot keep.

Of those that it is not told, the snapshot keeps some (the engine, its port, the key); the rest
changes neither the data nor whether it can be asked, and is not compared: windows, retention,
monitoring, exported logs, roles, domains, certificates, storage that is faster or grows by itself,
standbys and replicas. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any

from watchkeeper.backups.model import Kind

Settings = Mapping[str, Any]
"""By their names in Describe: of a manifest, or as RDS shows them."""
Setting = tuple[str, Callable[[Any], Any]]
"""The parameter of a restore that sets it, and its value from the one in Describe or a manifest."""


def parameters(settings: Settings, kind: Kind) -> dict[str, Any]:
    """What a restore is told: `settings` are those of the manifest."""
    known = SETTINGS[kind]
    chosen = {known[name][0]: value for name, value in _chosen(settings, kind).items()}
    return {**ALWAYS[kind], **chosen}


def told(settings: Settings, kind: Kind) -> dict[str, Any]:
    """The same by its names in Describe: what has to be shown afterwards."""
    return {**ALWAYS[kind], **_chosen(settings, kind)}


def shown(settings: Settings, kind: Kind) -> dict[str, Any]:
    """Of what RDS shows, whatever a restore can be told, in the words of `told`."""
    always = {name: settings[name] for name in ALWAYS[kind] if name in settings}
    return {**always, **_chosen(settings, kind)}


def _chosen(settings: Settings, kind: Kind) -> dict[str, Any]:
    """Of one kind; what is off, or a default, is not told: a restore finds that by itself."""
    read = {
        name: value(settings[name])
        for name, (_, value) in SETTINGS[kind].items()
        if settings.get(name)
    }
    return {name: value for name, value in read.items() if value is not None}


def _as_it_is(value: Any) -> Any:
    return value


def _own_group(listed: Any) -> str | None:
    """The one of some groups that is not a default one. Describe shows each as an object, a
    manifest has their names; a cluster has one.
    """
    groups = [listed] if isinstance(listed, str) else listed
    names = [one if isinstance(one, str) else _name_of(one) for one in groups]
    own = (name for name in names if not name.startswith(("default.", "default:")))
    return next(own, None)


def _name_of(group: Settings) -> str:
    name: str = group.get("DBParameterGroupName") or group["OptionGroupName"]
    return name


def _capacities(range_: Settings) -> dict[str, float]:
    """Of Aurora Serverless v2, in ACUs. A manifest has halves as texts."""
    return {name: float(range_[name]) for name in ("MinCapacity", "MaxCapacity")}


OF_BOTH: Mapping[str, Setting] = {
    "CopyTagsToSnapshot": ("CopyTagsToSnapshot", _as_it_is),
    "IAMDatabaseAuthenticationEnabled": ("EnableIAMDatabaseAuthentication", _as_it_is),
}
SETTINGS: Mapping[Kind, Mapping[str, Setting]] = {
    Kind.DATABASE: {
        **OF_BOTH,
        "DBInstanceClass": ("DBInstanceClass", _as_it_is),
        "DBParameterGroups": ("DBParameterGroupName", _own_group),
        "LicenseModel": ("LicenseModel", _as_it_is),
        "OptionGroupMemberships": ("OptionGroupName", _own_group),
    },
    Kind.CLUSTER: {
        **OF_BOTH,
        "DBClusterInstanceClass": ("DBClusterInstanceClass", _as_it_is),
        "DBClusterParameterGroup": ("DBClusterParameterGroupName", _own_group),
        "EngineMode": ("EngineMode", _as_it_is),
        "ServerlessV2ScalingConfiguration": ("ServerlessV2ScalingConfiguration", _capacities),
    },
}
ALWAYS: Mapping[Kind, Settings] = {
    Kind.DATABASE: {
        "AutoMinorVersionUpgrade": False,  # what is drilled is the version that was backed up
        "BackupRetentionPeriod": 0,  # the first backup would keep it from being available
        "DeletionProtection": False,
        "MultiAZ": False,
        "PubliclyAccessible": False,
    },
    Kind.CLUSTER: {
        "BackupRetentionPeriod": 1,  # "Must be a value from 1 to 35"
        "DeletionProtection": False,
    },
}
"""Whatever the manifest says: a drill needs one private copy that can be deleted."""
OF_EVERY_MEMBER: Settings = {"AutoMinorVersionUpgrade": False, "PubliclyAccessible": False}
