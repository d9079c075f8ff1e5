"""The reference service: one image in, one prediction out, from a verified artifact."""

import os
import signal

# ONNX Runtime on Linux reports its use to its maker unless told not to before it is imported
# (since 1.29; github.com/microsoft/onnxruntime, docs/Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A container's first process ignores SIGTERM unless it has a handler (pid_namespaces(7)).
if os.getpid() == 1:
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
