"""The command `rollcall`. Errors become exit codes here and nowhere else."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from contextlib import suppress
from typing import Any, Final

import click

from rollcall import __version__
from rollcall.commands import logs
from rollcall.commands.interrupts import end_now, interrupts
from rollcall.commands.terminal import guard_output, harmless
from rollcall.errors import RollcallError, is_full

#: Command to module, name in it, and help: a module is imported only when its command is used.
COMMANDS = {
    "index": ("index", "index", "Find the faces in folders of photos."),
    "watch": ("index", "watch", "Keep the database in step with folders."),
    "search": ("search", "search", 'Find photos: "photos of children".'),
    "analyze": ("analyze", "analyze_command", "Faces of pictures, without a database."),
    "demo": ("demo", "demo", "Try it on a small library made on the spot."),
    "review": ("review", "review_command", "Answer questions about the least certain faces."),
    "correct": ("corrections", "correct_command", "Correct an age, a gender, a box, a tag, or what is not a face."),
    "corrections": ("corrections", "corrections_group", "The log of corrections: list, undo, export, import."),
    "people": ("people", "people_group", "Who is who: list, name, merge and split people."),
    "albums": ("albums", "albums_group", "Albums: saved searches and chosen photos; share, export."),
    "forget": ("forget", "forget_command", "Remove faces, photos, folders or estimates for good."),
    "adapt": ("adapt", "adapt_command", "Learn from corrections: used only if it helps, and undone."),
    "tag": ("tag", "tag_command", "Recompute the automatic tags after settings changed."),
    "xmp": ("xmp", "xmp_group", "Exchange tags, regions and names with other programs, by sidecars."),
    "serve": ("serve", "serve_command", "Browse, search and correct in a browser; the HTTP API."),
    "guests": ("guests", "guests_group", "Devices of the home network that may look: list, end."),
    "bridge": ("bridge", "bridge_command", "Send tags and names to Immich, PhotoPrism, Nextcloud; import theirs."),
    "export-model": ("export", "export_command", "Write the attribute network or the detector as ONNX."),
    "restore": ("restore", "restore_command", "Put a backup in the place of a damaged database."),
    "check": ("check", "check_command", "Check a library, and repair it."),
    "backup": ("backup", "backup_command", "Copy the database to a file, also while it is in use."),
    "doctor": ("doctor", "doctor_command", "Print what a bug report needs, without personal paths."),
    "status": ("settings", "status_command", "Show what the database holds."),
    "settings": ("settings", "settings_command", "List every setting."),
}

EXIT_CODES = """\b
Exit codes:
  0    done (single photos may have failed: they are listed)
  1    an error not named below
  2    the command, a setting, a query or a correction was not understood
  3    a folder cannot be used
  4    the database cannot be used
  5    the networks cannot be loaded
  6    another program's server or file cannot be used
  130  stopped by Ctrl-C; what was done is kept
"""


#: What the system says of files that it keeps from us; no fault of ours has these.
_KEPT_FROM_US: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTCONN}
)


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:
        # Here, not in the group's function: that a command does not exist is found out before it is called.
        logs.configure(ctx.params["log_format"], verbose=ctx.params["verbose"])
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            # Such as --config: who saw it in the documentation does not know on which side of the command it goes.
            raise click.UsageError(
                f"No such option {error.option_name!r} before the command; options of a command stand behind it:"
                f" rollcall COMMAND {error.option_name} ...",
                ctx,
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}; did you mean {near[0]!r}?", ctx) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"rollcall.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=_LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rollcall")
@click.option("--verbose", is_flag=True, help="Log what happens, for reports of errors.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: everything on standard error is one JSON object a line.",
)
def cli(verbose: bool, log_format: logs.LogFormat) -> None:
    """Finds the faces in your photos, estimates age and gender, and answers "photos of children".

    Everything runs on this machine; nothing leaves it but by `rollcall bridge`.
    """


def _of_the_machine(error: OSError) -> str | None:
    """Return what a person has to know of a full disk, or of a file that the system keeps from us; else None."""
    if is_full(error):
        with suppress(OSError):
            sys.stdout.close()  # what it still holds would be written again
        place = error.filename or "the output"
        return f"{place}: cannot be written, as the disk is full; make room, and run it again: nothing is lost"
    if error.errno in _KEPT_FROM_US and error.filename is not None:
        place = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
        return f"{place}: cannot be used ({error.strerror}); check its permissions, and that its disk or share is there"
    return None


def main() -> None:
    """Run the command line and exit with its code."""
    guard_output()
    try:
        code = cli.main(standalone_mode=False)
        if interrupts.count:
            # Decoding and compiling go on in threads that nobody waits for any more.
            end_now(code if isinstance(code, int) else 0, message="")
        sys.exit(code if isinstance(code, int) else 0)
    except RollcallError as error:
        if not logs.print_error(str(error), error.exit_code):
            click.echo(f"rollcall: {harmless(str(error))}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        if not logs.print_error(error.format_message(), error.exit_code):
            error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        end_now()
    except BrokenPipeError:
        # The reader of the output closed it (rollcall search ... | head), which is not an error.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        message = _of_the_machine(error)
        if message is None:
            raise
        if not logs.print_error(message, RollcallError.exit_code):
            click.echo(f"rollcall: {harmless(message)}", err=True)
        sys.exit(RollcallError.exit_code)
