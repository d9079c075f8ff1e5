"""The lessons for people: in JupyterLab, as a site, as slides, in a timetable."""
