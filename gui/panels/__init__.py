"""Owns the panels: each draws one part of what is shown; owns no state of a session."""
