"""Tests of the grader itself: it must pass the reference and find each of many planted faults."""
