"""Where settings come from, and what a person is told of a name or value that is refused there."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rollcall.errors import SettingsError, reason_of
from rollcall.refused_values import needed


def read_file(path: Path, *, named: bool) -> dict[str, Any]:
    """Return what a settings file holds; one that nobody `named` need not be there.

    Raises
    ------
    SettingsError
        If the file cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if not named:
            return {}
        raise SettingsError(f"{path}: there is no such settings file; check the path") from error
    except IsADirectoryError as error:
        raise SettingsError(f"{path}: this is a folder, not a settings file; check the path") from error
    except OSError as error:
        raise SettingsError(
            f"{path}: the settings cannot be read ({reason_of(error)}); allow it, or remove what is there"
        ) from error
    # Text that is no UTF-8 is a ValueError, and so is text that is no TOML.
    except ValueError as error:
        raise SettingsError(
            f"{path}: the settings cannot be understood ({reason_of(error)}); correct the file (texts stand in quotes)"
            " or remove it"
        ) from error


def refused(problem: Mapping[str, Any], source: str, groups: Mapping[str, Sequence[str]]) -> SettingsError:
    """Return the error of a setting that cannot be used.

    `problem` is one of pydantic's `errors()`, `source` the file or variable that it stands in (empty: what was called),
    and `groups` has the names of the settings of each group.
    """
    location = [str(part) for part in problem["loc"]]
    name = ".".join(location[:2])
    where = f"{source}: " if source else ""
    if problem["type"] == "extra_forbidden":
        return SettingsError(f"{where}there is no setting {name!r}; {_instead(location, groups)}")
    if len(location) == 1:
        return SettingsError(f"{where}{name!r} is a group of settings; write [{name}], and its settings below")
    return SettingsError(f"{where}setting {name!r} needs {needed(problem)}; `rollcall settings` says what it means")


def _instead(location: Sequence[str], groups: Mapping[str, Sequence[str]]) -> str:
    """Return what may have been meant by a name that does not exist."""
    every = [f"{group}.{name}" for group, names in groups.items() for name in names]
    if len(location) == 1:
        near = difflib.get_close_matches(location[0], groups, 1)
        homes = [name for name in every if name.partition(".")[2] == location[0]]
        return f"did you mean {near[0] if near else homes[0]}?" if near or homes else f"groups are {', '.join(groups)}"
    group, name = location[:2]
    near = difflib.get_close_matches(name, groups[group], 1)
    if near:
        return f"did you mean {group}.{near[0]}?"
    homes = [one for one in every if one.partition(".")[2] == name]
    return f"did you mean {homes[0]}?" if homes else f"those of {group} are {', '.join(groups[group])}"
