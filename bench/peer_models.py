"""Train the fastText classifiers the peer runs. Runs in the peer's environment; takes a minute, untimed.

usage: peer_models.py LABELLED OUT NAME...

How well they do is of no matter here, only what they cost: character 2- to 5-grams into 2^18 rows of 32 numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fasttext
import pyarrow.parquet as pq

SETTINGS = {"dim": 32, "minn": 2, "maxn": 5, "wordNgrams": 1, "bucket": 1 << 18, "epoch": 3, "thread": 1, "seed": 1}
ROWS_PER_SET = 10_000
SETS = {
    "quality": ("quality/clickbait_headlines",),
    "spam": ("quality/sms_spam", "quality/tubespam"),
    "toxicity": ("toxicity/davidson", "toxicity/cold_zh"),
    "ai_text": ("ai_text/tweepfake",),
}


def train(name: str, labelled: Path, out: Path) -> Path:
    """Write `out/NAME.bin` from the labelled sets of that name, unless it is there; return its path."""
    path = out / f"{name}.bin"
    if path.exists():
        return path
    lines = out / f"{name}.txt"
    with lines.open("w", encoding="utf-8") as file:
        for part in SETS[name]:
            table = pq.read_table(labelled / f"{part}.train.parquet", columns=["text", "label"])
            step = max(1, table.num_rows // ROWS_PER_SET)  # spread over the file: it may be sorted by label
            rows = table.take(list(range(0, table.num_rows, step))).to_pylist()
            file.writelines(f"__label__{row['label']} {' '.join(row['text'].split())}\n" for row in rows)
    model = fasttext.train_supervised(str(lines), verbose=0, **SETTINGS)
    partial = path.with_suffix(".part")
    model.save_model(str(partial))
    partial.rename(path)
    lines.unlink()
    return path


def main() -> None:
    """Train what is missing."""
    labelled, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:]:
        print(train(name, labelled, out).name)


if __name__ == "__main__":
    main()
