"""Several processes in front of one GPU: each speaks HTTP and decodes, one owns the device.

One Python process cannot feed a fast device: its interpreter does one thing at a time. So
`--front-ends N` starts N processes that are what a single one is but for the engine (`remote.py`):
theirs hands its batches through shared memory to the process that loaded the model (`owner.py`),
which computes all that waits as one batch. `supervisor.py` starts and ends them.
"""
