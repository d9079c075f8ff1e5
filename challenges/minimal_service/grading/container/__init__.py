"""The container file of a submission: what it says, what it builds, what runs of it."""
