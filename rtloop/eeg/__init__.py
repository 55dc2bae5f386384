"""Owns the EEG stream from the wire to a sample-indexed ring, its clock, its health and the pulses in it.

It owns no cleaning, no decision and no recording.
"""
