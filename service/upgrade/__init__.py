"""Upgrade without a gap: another model takes over the listening socket of the running one."""
