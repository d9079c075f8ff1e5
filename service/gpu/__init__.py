"""Serve one model on GPUs. Imported only where a GPU form is used."""
