"""Ship the service: a container image, an image of the bundle alone, eyes beside them."""
