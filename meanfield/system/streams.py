"""The standard streams of a process, as a command finds and leaves them."""

from __future__ import annotations

import io
import os
import sys


def open_streams() -> None:
    """Open what a closed standard stream leaves, lest a file of results takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the least number that is free: this one
        if getattr(sys, name) is None:
            opened = open(number, "w" if number else "r", closefd=False)  # noqa: SIM115 (it lasts)
            setattr(sys, name, opened)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # of a terminal that knows ASCII alone
