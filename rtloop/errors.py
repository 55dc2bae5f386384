"""Owns the exceptions of the project and their exit codes; owns no handling of them.

An exception means broken machinery or a refused request from outside; expected outcomes are values.
Every message says what was expected, what was found and what to do.
"""

from __future__ import annotations


class RtloopError(Exception):
    """A failure told in words: what happened, what was expected, what was found, what to do."""

    exit_code = 1

    def __init__(self, what: str, *, expected: str = "", found: str = "", todo: str = "") -> None:
        self.what, self.expected, self.found, self.todo = what, expected, found, todo
        parts = [what]
        if expected:
            parts.append(f"expected: {expected}")
        if found:
            parts.append(f"found: {found}")
        if todo:
            parts.append(f"what to do: {todo}")
        super().__init__("; ".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.expected, self.found, self.todo))


def _rebuild(kind: type[RtloopError], what: str, expected: str, found: str, todo: str) -> RtloopError:
    return kind(what, expected=expected, found=found, todo=todo)


class UsageProblem(RtloopError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ValidationProblem(RtloopError):
    """A plan, site file, montage or recording breaks a rule that can be named."""

    exit_code = 3


class NotReady(RtloopError):
    """A device or stream is absent, ambiguous, of the wrong layout, or does not answer in time."""

    exit_code = 4


class SafetyStop(RtloopError):
    """The session was stopped by the interlock, a fault or STOP."""

    exit_code = 5


class OperatorAbort(RtloopError):
    """The operator ended the session early."""

    exit_code = 6


class IntegrityProblem(RtloopError):
    """A record is torn, altered or does not agree with itself."""

    exit_code = 7
