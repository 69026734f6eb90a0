"""The program `rollcall`, also as `python -m rollcall`."""

from rollcall.commands.interrupts import interrupts


def main() -> None:
    """Run the command line; Ctrl-C works from here on, before the imports that take their time."""
    interrupts.install()
    from rollcall.cli import main as run

    run()


if __name__ == "__main__":
    main()
