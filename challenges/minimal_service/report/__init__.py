"""A verdict for people and programs.

`page.write_html` makes an HTML page, `terminal.text` lines for the terminal; verdict.schema.json is
what `grading.verdict.schema` returns. This file imports nothing, so the terminal need not wait for
matplotlib.
"""
