"""The quiz: questions as data, one engine, three faces."""
