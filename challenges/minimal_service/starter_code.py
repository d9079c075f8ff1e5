"""The starter's copy of the research notebook, as nbconvert exports it.

For authors: `python -m challenges.minimal_service.starter_code` writes it again. The notebook's
cells do not run in the order of the page (lesson 2 shows it), so the code cells are put in the
order of their execution counts, and text cells are left out.
"""

from pathlib import Path

from learner.paths import ROOT

NOTEBOOK = ROOT / "notebooks" / "exhibit" / "research.ipynb"
STARTER = Path(__file__).with_name("starter")
NOTEBOOK_CODE = STARTER / "notebook_code.py"


def export_notebook() -> str:
    """Return the research notebook as a Python script, its cells in the order of execution."""
    import nbformat
    from nbconvert import PythonExporter

    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = sorted(cells, key=lambda cell: int(cell.execution_count))
    script, _resources = PythonExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    return str(script)


if __name__ == "__main__":
    NOTEBOOK_CODE.write_text(export_notebook(), encoding="utf-8")
    print(NOTEBOOK_CODE)
