"""The head: the machine that owns the task graph. Start reading at ``machine``."""
