"""`python -m rollcall`."""

from rollcall.cli import main

main()
