"""The content of a report: chapters of plain records, in the chosen language."""
