"""What all programs for learners share: language, folder, error messages, processes."""
