"""The same without processes: a whole grid in one thread, deterministically, under every schedule and every crash."""
