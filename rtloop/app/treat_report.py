"""Owns the writing of a treatment session's report from its folder; owns no number and no layout."""

from __future__ import annotations

from rtloop.record.folder import SessionFolder


def write_treatment_report(folder: SessionFolder) -> None:
    """Written next."""
