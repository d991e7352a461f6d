"""``python -m archiver``: the same as ``archiver``."""

from archiver.cli import main

main()
