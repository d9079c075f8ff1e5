"""What the Makefile calls besides the packages themselves."""
