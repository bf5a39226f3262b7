"""How a network learns: the step, the schedule, the loop, the checkpoint."""
