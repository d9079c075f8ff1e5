"""A submission's processes: started apart, watched, bounded, ended with all they started."""
