"""Write every generated file; what is committed must equal what this writes."""

from __future__ import annotations

from grafana.files import HERE, generated


def main() -> None:
    """Write the files beside this package."""
    for name, text in generated().items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
