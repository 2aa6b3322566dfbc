"""Foreign text in Markdown: names of styles, licences, models and methods can hold anything."""


def table_cell(text: str) -> str:
    """The text as one cell of a table: on one line, and with no bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")
