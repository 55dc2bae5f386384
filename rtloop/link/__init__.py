"""Owns what crosses between the engine and a window: words over a private socket, events from the journal, mapped pages."""
