"""One model on GPUs: batches on streams, compiled programs, faults. Imported only where used."""
