"""Releases of the reference service: other bundles, a gate, and a router that moves the traffic."""
