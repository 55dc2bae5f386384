"""The session of a treatment as a state machine, and what may gate its trains: pure, without clock, files and devices."""
