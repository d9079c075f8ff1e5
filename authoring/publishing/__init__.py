"""Publish the lessons: as a site, as slides, with a timetable."""
