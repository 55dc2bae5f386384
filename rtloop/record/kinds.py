"""Owns the names of the event kinds that the record itself reads; owns neither their producers nor their
meaning to a view.

``docs/events.md`` lists every kind with its fields; a test holds the two together. Other kinds may be
journalled:
the record keeps them as they are.
"""

from __future__ import annotations

JOURNAL_OPENED = "journal_opened"
SESSION_STARTED = "session_started"
SESSION_ENDED = "session_ended"
RECORDING_CHECKED = "recording_checked"
PULSE_INTENDED = "pulse_intended"
PULSE_CLOSED = "pulse_closed"
PULSE_REFUSED = "pulse_refused"
PULSE_SEEN = "pulse_seen"
PULSE_NOT_SEEN = "pulse_not_seen"
PULSE_UNCOMMANDED = "pulse_uncommanded"
PULSE_ACCOUNTED = "pulse_accounted"
TRAIN_STARTED = "train_started"
TRIAL_JUDGED = "trial_judged"
SCORES_UPDATED = "scores_updated"
TARGET_STARTED = "target_started"
TARGET_ENDED = "target_ended"
DECISION_MADE = "decision_made"
RANKING_MADE = "ranking_made"
MAP_VISITED = "map_visited"
MAP_RESTARTED = "map_restarted"
MAP_LOOKED_AT = "map_looked_at"
TARGETS_MATCHED = "targets_matched"
VISIT_PROPOSED = "visit_proposed"
VISIT_KEPT = "visit_kept"
MAP_RESUMED = "map_resumed"
FILTER_RENEWED = "filter_renewed"
COMMAND_RECEIVED = "command_received"
LAMP_CHANGED = "lamp_changed"
FAULT_RAISED = "fault_raised"
FAULT_CLEARED = "fault_cleared"
STREAM_OPENED = "stream_opened"
UNIT_OPENED = "unit_opened"
LATENCY_MEASURED = "latency_measured"
PARTICIPANT_LOCKED = "participant_locked"
NOTE_WRITTEN = "note_written"

#: kinds whose fields ``verify`` depends on
VERIFIED = (
    JOURNAL_OPENED, SESSION_STARTED, SESSION_ENDED, RECORDING_CHECKED, PULSE_INTENDED, PULSE_CLOSED,
    PULSE_REFUSED, PULSE_SEEN, PULSE_NOT_SEEN, PULSE_UNCOMMANDED, PULSE_ACCOUNTED,
)  # fmt: skip
ALL = (
    *VERIFIED, TRAIN_STARTED, TRIAL_JUDGED, SCORES_UPDATED, TARGET_STARTED, TARGET_ENDED, DECISION_MADE, RANKING_MADE,
    COMMAND_RECEIVED, LAMP_CHANGED, FAULT_RAISED, FAULT_CLEARED, STREAM_OPENED, UNIT_OPENED, LATENCY_MEASURED,
    NOTE_WRITTEN, PARTICIPANT_LOCKED, MAP_VISITED, MAP_RESTARTED, MAP_LOOKED_AT, TARGETS_MATCHED, VISIT_PROPOSED,
    VISIT_KEPT, MAP_RESUMED, FILTER_RENEWED,
)  # fmt: skip
