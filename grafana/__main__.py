"""Command `python -m grafana`: write all generated files."""

from __future__ import annotations

from grafana.files import HERE, generated


def main() -> None:
    """Write every generated file. A test compares the committed files with these."""
    for name, text in generated().items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
