"""Owns the screens: arrangements of panels and forms; owns no state of a session."""
