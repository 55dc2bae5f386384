"""Owns the operator's window: what is on screen, how it is drawn; reaches nothing that can pulse."""
