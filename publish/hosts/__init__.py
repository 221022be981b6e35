"""The places a release can go. A host is one folder here and one entry in `HOSTS`.

Every release is built, checked and placed in the output folder first; hosts are given it from there. An entry
is a `publish.hosts.protocol.HostKind`: the model of the host's table in `release.toml`, what the host can
take, and how it is opened. Nothing else in the project compares hosts' names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from publish.hosts.hub.settings import HubSettings
from publish.hosts.kaggle.settings import KaggleSettings
from publish.hosts.protocol import Host, HostKind, HostOptions
from schemas.configs import Format
from schemas.settings import DatasetSettings

FOLDER = "folder"


def _open_hub(dataset: DatasetSettings, settings: HubSettings, _: Path, options: HostOptions) -> Host[Any]:
    from publish.hosts.hub.client import Limits  # noqa: PLC0415 - only who publishes needs the client
    from publish.hosts.hub.target import HubTarget  # noqa: PLC0415

    limits = Limits(options.times)
    return HubTarget(dataset.repository, settings, limits=limits, note=options.note)


def _hub_line(dataset: DatasetSettings, version: str) -> str:
    return f'load_dataset("{dataset.repository}", revision="v{version}", split="train")'


def _open_kaggle(_: DatasetSettings, settings: KaggleSettings, out: Path, options: HostOptions) -> Host[Any]:
    from publish.hosts.kaggle.access import Limits  # noqa: PLC0415 - as above
    from publish.hosts.kaggle.target import KaggleTarget  # noqa: PLC0415

    return KaggleTarget(settings.dataset, settings.page, out / "uploads", Limits(options.times), options)


def table_of(*kinds: HostKind) -> Mapping[str, HostKind]:
    """Return kinds of hosts by name.

    Raises:
        ValueError: Two have one name or one table, or one is called like the folder.
    """
    for taken in ([FOLDER, *(kind.name for kind in kinds)], [kind.settings_key for kind in kinds]):
        repeated = sorted({name for name in taken if taken.count(name) > 1})
        if repeated:
            raise ValueError(f"two hosts are called {', '.join(repeated)}")
    return {kind.name: kind for kind in kinds}


HOSTS = table_of(
    HostKind(
        name="hub",
        title="the Hub",
        settings_key="hub",
        settings=HubSettings,
        formats=tuple(Format),
        default_formats=tuple(Format),
        keeps_tars=True,
        is_atomic=True,
        open=_open_hub,
        loading_line=_hub_line,
    ),
    HostKind(
        name="kaggle",
        title="Kaggle",
        settings_key="kaggle",
        settings=KaggleSettings,
        formats=(Format.PARQUET,),
        default_formats=(Format.PARQUET,),
        keeps_tars=False,
        is_atomic=False,
        open=_open_kaggle,
    ),
)
TARGETS = (FOLDER, *HOSTS)
