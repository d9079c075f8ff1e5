"""The quiz: questions as data, one grading engine, three user interfaces."""
