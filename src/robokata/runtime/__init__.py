"""How work runs: worker pool, jobs, atomic files, cache, locks, time limits, options."""
