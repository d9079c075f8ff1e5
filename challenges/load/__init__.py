"""An open-loop load generator: requests leave when they are due, even if earlier ones still wait.

A closed loop (N users, each waiting for an answer before asking again) stops asking while the
server stalls, and so hides the very latencies that users of a real service would see. Here every
latency counts from the moment at which the request was due.
"""
