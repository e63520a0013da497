"""The embedded planner: reads clauses, times and quotes; deterministic, without weights."""
