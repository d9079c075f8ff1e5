"""The lessons: en/ is the source of truth, ja/ and id/ are generated from it."""
