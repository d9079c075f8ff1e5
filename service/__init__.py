"""The reference service: one image in, one prediction out, from a verified artifact."""

import os

# ONNX Runtime on Linux reports its use to its maker unless told not to before it is imported
# (since 1.29; github.com/microsoft/onnxruntime, docs/Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
