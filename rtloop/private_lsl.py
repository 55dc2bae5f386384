"""Owns the settings with which liblsl keeps to a session of its own on this computer; owns no stream.

The port for discovery is shared by all outlets of a computer, and a datagram to 127.0.0.1 reaches only one of them: with two
sessions at a time half of the outlets were never found. Asking each outlet's own port finds all (``KnownPeers``); liblsl's
32 ports are too few for several sessions, each outlet takes two and each look some more.
"""

from __future__ import annotations


def settings(session: str) -> str:
    """Content for ``pylsl.set_config_content``, to be set before any other LSL call of a process."""
    return (
        f"[lab]\nSessionID = {session}\nKnownPeers = {{127.0.0.1}}\n[ports]\nPortRange = 128\n"
        "[multicast]\nResolveScope = machine\n[log]\nlevel = -2\n"
    )
