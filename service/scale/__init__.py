"""Many machines: a Ray Serve deployment, Kubernetes manifests, and the arithmetic of both."""
