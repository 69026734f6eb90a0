"""Write the parts of the documentation that the code knows: settings, commands, views, the Python API, the manifest.

Each part stands between `<!-- made from the code: NAME -->` and `<!-- end -->` (`#` lines in plugin.toml).
Run with: uv run python scripts/write_docs.py; a test fails when the files are not up to date.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import api_reference
import click

from rollcall import search, settings
from rollcall.ages import OLDEST
from rollcall.cli import EXIT_CODES, cli
from rollcall.search.grammar import FIELDS
from rollcall.search.terms import Term
from rollcall.search.vocabulary import ADJECTIVES, WORDS
from rollcall.storage.views import VIEWS

ROOT = Path(__file__).resolve().parent.parent


def settings_table() -> str:
    """Return all settings as a table."""
    rows = ["| setting | type | default | what it means |", "|---|---|---|---|"]
    for info in settings.describe():
        default = json.dumps(info.default).replace("|", "\\|")
        rows.append(f"| `{info.name}` | {info.type} | `{default}` | {info.help} |")
    return "\n".join(rows)


def views_tables() -> str:
    """Return the views with their columns."""
    parts = []
    for view in VIEWS:
        parts += [f"### `{view.name}`\n", f"{view.help}\n", "| column | type | what it holds |", "|---|---|---|"]
        parts += [f"| `{column.name}` | {column.type} | {column.help} |" for column in view.columns]
        parts.append("")
    return "\n".join(parts).rstrip()


def commands() -> str:
    """Return every command's help."""
    parts = []
    context = click.Context(cli, info_name="rollcall")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=name, parent=context, terminal_width=100))
        parts.append(f"### `rollcall {name}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts).rstrip()


def exit_codes() -> str:
    """Return what each exit code means."""
    rows = ["| code | meaning |", "|---|---|"]
    rows += [f"| {code} | {meaning} |" for code, meaning in re.findall(r"^  (\d+) +(.*)$", EXIT_CODES, re.MULTILINE)]
    return "\n".join(rows)


def words() -> str:
    """Return the everyday words and the fields of the search language."""
    rows = ["| words | ages | gender |", "|---|---|---|"]
    for person, text in WORDS:
        ages = "any" if person.any_age else _ages(person.low, person.high)
        rows.append(f"| {', '.join(text.split())} | {ages} | {person.gender or 'any'} |")
    rows += ["", "| before a word | ages |", "|---|---|"]
    for name, limits in ADJECTIVES.items():
        rows.append(f"| {name} | " + ("the noun's own" if limits is None else _ages(*limits)) + " |")
    rows += ["", "| field | takes |", "|---|---|"]
    rows += [f"| `{name}:` | {text.replace('|', chr(92) + '|')} |" for name, text in FIELDS.items()]
    return "\n".join(rows)


def _ages(low: int, high: int) -> str:
    return f"{low} to {high}" if high < OLDEST else f"from {low}"


#: Queries whose meaning the documentation shows as the program understands it.
EXAMPLES = (
    "show me pictures of my kids",
    "exactly two children",
    "more than two adults",
    "a few men",
    "5-year-olds",
    "children under 16",
    "women in their thirties",
    "teenage girls",
    "a man with two girls",
    "someone over 30 and a woman",
    "families",
    "a couple",
    "a woman alone",
    "portraits of children",
    "women only",
    "everyone under 30",
    "kids but no adults",
    "neither kids nor teens",
    "nobody",
    "kids in June 2019",
    "women in the summer of 2019",
    "photos from 2018 to 2020",
    "men since 2020",
    "tagged birthday",
    "unreviewed",
    "nobody over 30",
    "only women and children",
    "no boys or girls",
    "everyone but children",
    "children over 5 and under 10",
    "2 or 3 kids",
    "6 month old baby",
    "middle aged men",
    "5-9 year olds",
    "born in 2010",
    "family of four",
    "young family",
    "crowd",
    "twins",
    "kids in summer",
    "June 12, 2019",
    "from june to august 2019",
    "kids in 2019 and 2020",
    "kids or women in 2019",
    "kids at the beach",
    "untagged",
)


def examples() -> str:
    """Return example queries with the trees that they are understood as."""
    rows = ["| query | understood as |", "|---|---|"]
    rows += [f"| `{words}` | {_in_one_line(search.parse(words))} |" for words in EXAMPLES]
    return "\n".join(rows)


def _in_one_line(term: Term) -> str:
    inner = "; ".join(map(_in_one_line, term.children()))
    return f"{term} ({inner})" if inner else str(term)


def manifest_settings() -> str:
    """Return the settings as they stand in plugin.toml."""
    lines = []
    for info in settings.describe():
        default = list(info.default) if isinstance(info.default, tuple) else info.default
        lines += ["[[settings]]", f'name = "{info.name}"', f'type = "{info.type}"']
        lines += [f"default = {json.dumps(default)}", f"help = {json.dumps(info.help)}", ""]
    return "\n".join(lines).rstrip()


PARTS = {
    "settings": settings_table,
    "views": views_tables,
    "commands": commands,
    "exit codes": exit_codes,
    "api names": api_reference.names_reference,
    "api plugin": api_reference.plugin_reference,
    "api corrections": api_reference.corrections_reference,
    "api events": api_reference.events_reference,
    "api errors": api_reference.errors_reference,
    "api records": api_reference.records_reference,
    "api settings": api_reference.settings_reference,
    "api types": api_reference.aliases_reference,
    "words": words,
    "examples": examples,
    "manifest settings": manifest_settings,
}
FILES = (
    "docs/api.md",
    "docs/commands.md",
    "docs/host-guide.md",
    "docs/search.md",
    "docs/settings.md",
    "plugin.toml",
)


def rewritten(text: str) -> str:
    """Return a file's text with its made parts made anew."""

    def replace(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]]()}\n{match[4]}"

    pattern = r"((?:<!--|#) made from the code: ([a-z ]+?)(?: -->)?)\n(.*?)((?:<!--|#) end(?: -->)?$)"
    return re.sub(pattern, replace, text, flags=re.DOTALL | re.MULTILINE)


def main() -> int:
    """Write the files; with --check only print which are not up to date."""
    stale = []
    for name in FILES:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = rewritten(before)
        if after != before:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(after, encoding="utf-8")
    print("\n".join(stale) or "all up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
