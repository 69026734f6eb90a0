"""Settings: name, default, limits and one sentence of help each; the documentation is generated from them.

Read, the later winning: the defaults below, a TOML file (`rollcall.toml` in the platform's
configuration folder, or the one given), environment variables (`ROLLCALL_DETECTOR__MIN_FACE=40`),
and `--set detector.min_face=40` on the command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import platformdirs
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rollcall.detector_settings import DetectorSettings
from rollcall.errors import SettingsError
from rollcall.host_settings import RemoteSettings, XmpSettings
from rollcall.server_settings import BridgeSettings, ServeSettings
from rollcall.settings_group import SettingsGroup
from rollcall.settings_sources import read_file, refused
from rollcall.video_settings import VideoSettings


class DatabaseSettings(SettingsGroup):
    """The database that everything is stored in."""

    url: str = Field(
        default="",
        description="SQLAlchemy URL of the database; empty means an SQLite file in the platform's data folder.",
    )
    backups: int = Field(
        default=3,
        ge=1,
        le=50,
        description="How many copies made before a migration are kept beside the database.",
    )
    daily_backups: int = Field(
        default=2,
        ge=0,
        le=50,
        description="How many copies, made once a day after an index run, are kept beside the database; 0: none.",
    )


class DecodeSettings(SettingsGroup):
    """How picture files become pixels."""

    max_megapixels: float = Field(
        default=300.0,
        gt=0,
        description="Pictures with more megapixels than this are recorded as failed, not decoded.",
    )
    memory_megabytes: int = Field(
        default=0,
        ge=0,
        description="The memory that all decoders together may take; 0 means half of what is free, 2,048 at most. A "
        "picture that needs more is decoded alone, or refused if it needs more than 2,048.",
    )
    max_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Reading or decoding a file that takes longer than this is ended, and the file recorded as failed.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Decoding threads; 0 means one for each processor used (power.workers).",
    )


#: The estimates of a face that can be switched off.
Switch = Literal["age", "gender", "embeddings"]
SWITCHES: Final[tuple[Switch, ...]] = get_args(Switch)


class AttributeSettings(SettingsGroup):
    """What is estimated and stored for each face."""

    age: Literal["on", "off"] = Field(default="on", description="Whether ages are estimated and stored.")
    gender: Literal["on", "off"] = Field(default="on", description="Whether gender is estimated and stored.")
    embeddings: Literal["on", "off"] = Field(
        default="on", description="Whether identity embeddings are computed and stored."
    )
    small_faces: Literal["fast", "sharp"] = Field(
        default="fast",
        description="Where the pixels of small faces come from: fast takes them from the reduced picture; sharp "
        "decodes a photo a second time, whole, when a face on it is too small there, which takes time.",
    )

    @property
    def switched_off(self) -> tuple[Switch, ...]:
        """The estimates that are switched off."""
        return tuple(name for name in SWITCHES if getattr(self, name) == "off")


#: A file of one of these names excludes its folder, and all below it.
EXCLUSION_MARKERS: Final = (".nomedia", ".noimage", ".rollcall-ignore")
#: Rollcall's own marker: rows of the folder's photos are erased, too.
OPT_OUT_MARKER: Final = ".rollcall-ignore"


#: Thumbnails, recycle bins and snapshots of NAS and systems; what Macs leave on shares and in archives, and Nextcloud
#: beside the files; what Lightroom, Apple's and Capture One's libraries keep beside the originals.
_IGNORED: Final = (
    *("@eaDir", "@SynoEAStream", ".thumbnails", "#[Rr]ecycle", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin"),
    *("RECYCLER", "RECYCLED", "Recycled", "SYSTEM~[0-9]", "System Volume Information", "lost+found"),
    *("found.[0-9][0-9][0-9]", "#snapshot", "@Recently-Snapshot", "~$*"),
    *("@sharesnap", "@Transcode", "@tmp"),
    *("Network Trash Folder", "Temporary Items", "__MACOSX", "files_trashbin", "appdata_*"),
    *("*.lrdata", "*.photoslibrary/resources", "*.photoslibrary/Thumbnails", "*iPhoto Library/Thumbnails"),
    *("*.photolibrary/Thumbnails", "*.photolibrary/Previews", "*.aplibrary/Thumbnails", "*.aplibrary/Previews"),
    *("*.cocatalog/Cache", "*CaptureOne/Cache"),
)


class LibrarySettings(SettingsGroup):
    """Which files belong to the library."""

    ignore: tuple[str, ...] = Field(
        default=_IGNORED,
        description="Patterns of names, or of paths relative to the root, that are left out (* ? [abc]).",
    )
    hidden: bool = Field(
        default=False, description="Whether files and folders whose name starts with a dot are included."
    )
    follow_links: bool = Field(
        default=True, description="Whether symbolic links to folders are followed; loops never are."
    )


class WatchSettings(SettingsGroup):
    """How the watcher turns events into work."""

    settle_seconds: float = Field(
        default=0.5,
        ge=0.05,
        le=600,
        description="How long a file's size and time must hold still before it is read.",
    )
    reconcile_seconds: float = Field(
        default=3600.0,
        ge=1,
        description="How often the whole library is compared with the database, to find changes without events.",
    )
    polling: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether folders are polled instead of watched; auto polls network mounts only.",
    )
    polling_seconds: float = Field(default=30.0, ge=0.1, description="How often a polled folder is scanned.")


def _tag_name(default: str, what: str) -> str:
    """Return the field of a tag's name; `what` completes its help."""
    return Field(default=default, description=f"The tag of photos {what}, in any language; empty: no such tag.")


class TagSettings(SettingsGroup):
    """When a tag is set."""

    precision: float = Field(
        default=0.95,
        ge=0.5,
        le=0.99,
        description="How many of the automatic tags shall be right, as measured on faces the networks never saw; "
        "a tag that cannot be that sure is only suggested.",
    )
    suggest_above: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="The probability from which an automatic tag is suggested for review.",
    )
    prefix: str = Field(
        default="People",
        description="The folder of the tag tree in which automatic tags are put; empty: none.",
    )
    babies: str = _tag_name("Babies", "with someone of 0 to 2 years")
    toddlers: str = _tag_name("", "with someone of 1 to 3 years")
    children: str = _tag_name("Children", "with someone of 0 to 12 years")
    teenagers: str = _tag_name("Teenagers", "with someone of 13 to 19 years")
    adults: str = _tag_name("Adults", "with someone of 20 years or more")
    seniors: str = _tag_name("Seniors", "with someone of 60 years or more")
    women: str = _tag_name("", "with a woman of 20 years or more")
    men: str = _tag_name("", "with a man of 20 years or more")
    girls: str = _tag_name("", "with a girl of 0 to 12 years")
    boys: str = _tag_name("", "with a boy of 0 to 12 years")
    group: str = _tag_name("Group", "with five people or more")
    people: Literal["confirmed", "likely", "off"] = Field(
        default="confirmed",
        description="Which photos get a tag with the name of somebody whom they show, such as People/Anna: those whose "
        "face a person confirmed, also proposals that are as likely as `tags.precision` asks for, or none.",
    )


class PeopleSettings(SettingsGroup):
    """How faces are grouped into people."""

    group: Literal["on", "off"] = Field(
        default="on", description="Whether new faces are compared with the others and grouped into people."
    )


class PowerSettings(SettingsGroup):
    """How much of the computer a run takes."""

    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="How many processors are used; 0 means all that this process may use.",
    )
    executor: Literal["auto", "threads", "processes", "ray"] = Field(
        default="auto",
        description="What analyses photos: threads of this process, processes on this computer, or ray, a cluster of "
        "computers (rollcall[cluster]); auto: processes for many photos, where the memory suffices, else threads.",
    )
    ray_address: str = Field(
        default="",
        description="The address of the Ray cluster; empty: that of the environment (RAY_ADDRESS), else one is started "
        "on this computer for the run.",
    )
    nice: int = Field(
        default=0,
        ge=0,
        le=19,
        description="How far other programs go first while folders are indexed or watched; 19: only what is left over.",
    )
    on_battery: Literal["full", "slow", "pause"] = Field(
        default="full",
        description="What a run does on battery: full speed, half of it, or wait until the power is back.",
    )


class CacheSettings(SettingsGroup):
    """Files that can be deleted at any time and are made again when needed."""

    folder: str = Field(
        default="", description="Folder of the compilation cache; empty means the platform's cache folder."
    )


class Settings(BaseSettings):
    """All settings of Rollcall."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", env_nested_delimiter="__", extra="forbid", frozen=True)

    database: DatabaseSettings = DatabaseSettings()
    library: LibrarySettings = LibrarySettings()
    decode: DecodeSettings = DecodeSettings()
    videos: VideoSettings = VideoSettings()
    detector: DetectorSettings = DetectorSettings()
    attributes: AttributeSettings = AttributeSettings()
    watch: WatchSettings = WatchSettings()
    tags: TagSettings = TagSettings()
    people: PeopleSettings = PeopleSettings()
    power: PowerSettings = PowerSettings()
    cache: CacheSettings = CacheSettings()
    serve: ServeSettings = ServeSettings()
    xmp: XmpSettings = XmpSettings()
    bridges: BridgeSettings = BridgeSettings()
    remote: RemoteSettings = RemoteSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load` reads the environment: pydantic's own source expects JSON for lists, and its errors name no setting.
        return (init_settings,)

    @property
    def database_url(self) -> str:
        """The URL of the database, with the default filled in."""
        if self.database.url:
            return self.database.url
        folder = Path(platformdirs.user_data_path("rollcall", appauthor=False))
        return f"sqlite:///{folder / 'rollcall.db'}"

    @property
    def cache_folder(self) -> Path:
        """The cache folder, with the default filled in."""
        if self.cache.folder:
            return Path(self.cache.folder).expanduser()
        return platformdirs.user_cache_path("rollcall", appauthor=False)

    @property
    def thumbnail_folder(self) -> Path:
        """The folder of the page's thumbnails; `rollcall forget` empties it."""
        return self.cache_folder / "thumbnails"

    @property
    def decode_threads(self) -> int:
        """The number of decoding threads, with the default filled in."""
        return self.decode.threads or self.workers

    @property
    def workers(self) -> int:
        """The number of processors used, with the default filled in."""
        if self.power.workers:
            return self.power.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


class SettingInfo(NamedTuple):
    """One setting as data, for documentation and `rollcall settings`."""

    name: str
    type: str
    default: Any
    help: str


def describe() -> Iterator[SettingInfo]:
    """Yield every setting in the order of definition."""
    for group_name, group_field in Settings.model_fields.items():
        group = group_field.annotation
        assert isinstance(group, type) and issubclass(group, SettingsGroup)
        for name, info in group.model_fields.items():
            kind = getattr(info.annotation, "__name__", str(info.annotation)).replace("typing.", "")
            if str(info.annotation).startswith("typing.Literal"):
                kind = " or ".join(info.annotation.__args__)  # type: ignore[union-attr]
            yield SettingInfo(f"{group_name}.{name}", kind, info.default, info.description or "")


def config_path() -> Path:
    """Return the path of the settings file that is read when none is named."""
    return platformdirs.user_config_path("rollcall", appauthor=False) / "rollcall.toml"


def load(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings from file, environment and `overrides` (dotted names to values).

    A value in `overrides` may be text, as it comes from a command line.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a name or value is not understood; the message names it.
    """
    path = file or config_path()
    data = read_file(path, named=file is not None)
    # The environment overrides the file and yields to `overrides`. It is merged here by hand, because
    # pydantic-settings would let initial values win over it.
    prefix = "ROLLCALL_"
    sources: dict[str, str] = {}
    for variable, value in os.environ.items():
        name = variable[len(prefix) :].lower()
        if variable.upper().startswith(prefix) and ("__" in name or name in Settings.model_fields):
            dotted = name.replace("__", ".")
            _put(data, dotted, value, variable)
            sources[dotted] = variable
    for name, value in (overrides or {}).items():
        _put(data, name, value)
        sources[name] = ""
    try:
        return Settings(**data)
    except ValidationError as error:
        first = error.errors()[0]
        source = sources.get(".".join(str(part) for part in first["loc"][:2]), str(path))
        raise refused(first, source, _names()) from error


def _names() -> dict[str, list[str]]:
    """Return the names of the settings of each group."""
    names: dict[str, list[str]] = {}
    for info in describe():
        group, _, name = info.name.partition(".")
        names.setdefault(group, []).append(name)
    return names


def _is_list(group: str, name: str) -> bool:
    """Return whether a setting has several values, which text holds with commas between them."""
    model = Settings.model_fields[group].annotation if group in Settings.model_fields else None
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    return name in fields and isinstance(fields[name].default, tuple)


def _put(data: dict[str, Any], dotted: str, value: Any, source: str = "") -> None:
    group, _, name = dotted.partition(".")
    branch = data.setdefault(group, {})
    if not isinstance(branch, dict) or not name:
        where = f"{source}: " if source else ""
        raise SettingsError(f"{where}setting {dotted!r} is not of the form group.name, such as detector.min_face")
    if isinstance(value, str) and _is_list(group, name):
        value = tuple(part.strip() for part in value.split(",") if part.strip())
    branch[name] = value
