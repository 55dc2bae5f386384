"""Judgement of trials and recordings in numbers, lights and words: an island that is fed values and owns no signal."""
