"""The record of truth of a session: journal, recording, verification, report. Nothing here may pulse or
decide."""
