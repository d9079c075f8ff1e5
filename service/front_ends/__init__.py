"""Several processes serve HTTP in front of one GPU, and one process owns the GPU.

One Python process cannot feed a fast GPU, because only one of its threads runs Python at a time. So
`--front-ends N` starts N processes (`front_end.py`) that speak HTTP and decode images. They send
their batches through shared memory (`channel.py`) to the process that loaded the model
(`device_server.py`), which computes all waiting batches as one. `supervisor.py` runs in that
process: it starts the front ends and ends them.
"""
