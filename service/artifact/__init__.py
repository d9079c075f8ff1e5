"""The artifact bundle: build it, verify it, read its manifest."""
