"""Reports show posts: those that show one that must go are taken away, and written again without it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from filters.kernels.needles import Needles
from pipelines import report
from pipelines.report import DATA_FILE, PAGE_FILE, report_folder
from pipelines.upkeep.names import holds, open_names


@dataclass(frozen=True)
class Reports:
    """What becomes of reports: files to delete, files staged in place of others, epochs whose report is redone."""

    gone: tuple[str, ...]
    staged: tuple[str, ...]
    epochs: tuple[int, ...]

    def render(self, root: Path) -> None:
        """Write the reports again, once the tables are without what had to go."""
        for epoch in self.epochs:
            report.write(root, json.loads((report_folder(root, epoch) / DATA_FILE).read_text(encoding="utf-8")))


def find_reports(root: Path, staging: Path, names: str, epochs: Collection[int]) -> Reports:
    """Find the reports of the epochs that posts are taken out of, and those that say a name."""
    known = open_names(names)
    pseudonyms = dict(zip(known.ids.to_pylist(), known.pseudonyms.to_pylist(), strict=True))
    gone, staged, again = [], [], []
    for folder in sorted((root / "reports").glob("epoch-*")):
        data, page = folder / DATA_FILE, folder / PAGE_FILE
        epoch = int(folder.name.removeprefix("epoch-"))
        told = _renamed(data, pseudonyms)
        if told is not None:
            place = data.relative_to(root)
            (staging / place).parent.mkdir(parents=True, exist_ok=True)
            (staging / place).write_text(told, encoding="utf-8")
            staged.append(str(place))
        if page.is_file() and (epoch in epochs or told is not None or _says(page, known.texts)):
            gone.append(str(page.relative_to(root)))
            again += [epoch] if data.is_file() else []
    return Reports(tuple(gone), tuple(staged), tuple(again))


def _renamed(path: Path, pseudonyms: Mapping[str, str]) -> str | None:
    """Return what a report.json says with other names for the originals of campaigns; None where none changes."""
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    campaigns = [one for one in told.get("campaigns", []) if one["original"] in pseudonyms]
    for one in campaigns:
        one["original"] = pseudonyms[one["original"]]
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n" if campaigns else None


def _says(page: Path, needles: Needles) -> bool:
    return bool(holds(pa.chunked_array([[page.read_text(encoding="utf-8")]]), needles)[0])
