"""The writing tasks: file by file and lesson by lesson the learner writes the service."""
