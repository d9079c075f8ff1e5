"""The reference service: one image in, one prediction out, from a verified artifact."""
