"""Build the zip that `spark-submit --py-files` ships to executors, models included: `python -m jobs.package`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import typer

PACKAGES = ("schemas", "filters", "pipelines", "jobs")
ROOT = Path(__file__).parents[1]
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is built


def build(out: Path) -> int:
    """Write the zip and return how many files it holds."""
    files = sorted(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for path in files:
            archive.writestr(ZipInfo(str(path.relative_to(ROOT)), EPOCH), path.read_bytes(), ZIP_DEFLATED)
    return len(files)


def main(out: Annotated[Path, typer.Option(help="The zip to write.")] = Path("dist/swarmfeed.zip")) -> None:
    """Build the zip."""
    typer.echo(f"{out}: {build(out)} files")


if __name__ == "__main__":
    typer.run(main)
