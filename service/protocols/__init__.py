"""Other protocols than `POST /predict`, each served only where a setting asks for it."""
