"""Whether the grader is right: it must pass the reference, and find each of many planted faults."""
