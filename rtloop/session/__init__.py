"""The bridge between the islands: the line from sample to pulse, the plan's engine, the loop, replay."""
