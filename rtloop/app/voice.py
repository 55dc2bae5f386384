"""Owns the writing of words to stdout and stderr: that nobody reads them any more never ends a session; owns no words."""

from __future__ import annotations

import contextlib
import os
import sys

import typer


def say(words: str) -> None:
    """Progress, for people, on stderr."""
    _write("stderr", words)


def tell(words: str) -> None:
    """The result, on stdout."""
    _write("stdout", words)


def _write(name: str, words: str) -> None:
    try:
        typer.echo(words, err=name == "stderr")
        getattr(sys, name).flush()
    except UnicodeError:  # a terminal that cannot show a character
        with contextlib.suppress(OSError, ValueError):
            typer.echo(words.encode("ascii", "replace").decode(), err=name == "stderr")
    except (OSError, ValueError, AttributeError):
        _be_silent(name)


def _be_silent(name: str) -> None:
    """What is written from now on goes nowhere, also what the interpreter flushes at its end."""
    nowhere = open(os.devnull, "w")  # noqa: SIM115 - it stays open as long as the process
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(nowhere.fileno(), getattr(sys, name).fileno())
    setattr(sys, name, nowhere)
