"""rtloop: a real-time closed-loop controller for TMS-EEG. Importing it imports nothing scientific."""

__version__ = "0.1.0"
