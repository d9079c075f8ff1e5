"""What concerns the learner, whatever they look at: their language, their folder, their errors."""
