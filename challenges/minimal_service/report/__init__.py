"""A verdict for people and programs.

`page.write_html` makes an HTML page, `terminal.text` lines for the terminal, `schema.write_schema`
the JSON schema. Nothing is imported here: a terminal need not wait for what draws plots.
"""
