"""What the inference runner stands on: the plan, admission, the jobs, the counters."""
