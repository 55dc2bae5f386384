"""The study: who takes part, which arm, what is next, what came of it. The log is the truth, the store its index."""
