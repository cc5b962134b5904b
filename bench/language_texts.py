"""Draw words from public letter n-grams: the outside texts that `swarmfeed train language` learns from.

    pip download --no-deps lingua-language-detector==1.4.2 && pip install brotli
    python -m bench.language_texts --lingua lingua_language_detector-1.4.2-py3-none-any.whl --out DIR

Writes `lingua_ngrams.train.parquet`, columns text, label and lang. The same wheel (Apache-2.0) and seed give the same
file. lingua counts, for 75 languages, how often a letter follows the one to four before it inside a word. Where the
counts of longer n-grams fall short of those of shorter ones, a word began or ended. So they are a Markov chain of words
and drawn words have the true shares of all words of up to four letters.
"""

from __future__ import annotations

import argparse
import itertools
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TEXTS, WORDS = 3000, 10  # texts drawn of each language, and words in each
ORDERS = ("unigrams", "bigrams", "trigrams", "quadrigrams", "fivegrams")
LONGEST = 24  # letters of a drawn word: no chain goes on for ever
SPACED = 100  # fewer 5-grams than this: a script without words, nothing to draw
MARKED = frozenset(("hi", "mr", "bn", "gu", "pa", "ta", "te", "th"))
"""Written with vowel signs, which lingua does not count: its n-grams are no stretches of their words."""

Chances = dict[str, float]


def main() -> None:
    """Write the file into the folder given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lingua", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    write(drawn_texts(given.lingua, given.seed), given.out / "lingua_ngrams.train.parquet")


def write(rows: Iterator[tuple[str, str]], file: Path) -> None:
    """Write (text, language) pairs as a labelled file."""
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels, "lang": labels}), file, compression="zstd")


def drawn_texts(wheel: Path, seed: int) -> Iterator[tuple[str, str]]:
    """Yield texts of words drawn from lingua's n-grams, and their language."""
    with zipfile.ZipFile(wheel) as archive:
        folders = sorted({name.split("/")[2] for name in archive.namelist() if "/language-models/" in name})
        for number, language in enumerate(folders):
            chances = [_chances(archive, language, order) for order in ORDERS]
            if len(chances[-1]) < SPACED or language in MARKED:
                continue
            words = draw_words(chances, TEXTS * WORDS, np.random.default_rng((seed, number)))
            for start in range(0, len(words), WORDS):
                yield " ".join(words[start : start + WORDS]), language


def _chances(archive: zipfile.ZipFile, language: str, order: str) -> Chances:
    """Return the chance of each n-gram's last letter after the others."""
    import brotli  # of this script alone

    name = f"lingua/language-models/{language}/{order}.json.br"
    if name not in archive.namelist():
        return {}
    found: Chances = {}
    for fraction, grams in json.loads(brotli.decompress(archive.read(name)))["ngrams"].items():
        part, whole = map(int, fraction.split("/"))
        found.update(dict.fromkeys(grams.split(" "), part / whole))
    return found


def draw_words(chances: Sequence[Chances], count: int, random: np.random.Generator) -> list[str]:
    """Draw words: a beginning of up to four letters by its share, then letter by letter until the chain ends."""
    beginnings = list(_beginnings(chances).items())
    shares = np.maximum([share for _, share in beginnings], 0)
    picked = random.choice(len(beginnings), count, p=shares / shares.sum())
    follow: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for gram, chance in chances[-1].items():
        follow[gram[:-1]].append((gram[-1], chance))
    words = []
    for place in picked.tolist():
        word, ended = beginnings[place][0]
        while not ended and len(word) < LONGEST:
            left = random.random()
            for letter, chance in follow.get(word[-4:], ()):
                left -= chance
                if left < 0:
                    word += letter
                    break
            else:
                ended = True
        words.append(word)
    return words


def _beginnings(chances: Sequence[Chances]) -> dict[tuple[str, bool], float]:
    """Return the share of each (beginning, whether the word ends there): words of 1-3 letters, beginnings of 4."""
    joint = [chances[0]]
    for table in chances[1:]:
        joint.append({gram: chance * joint[-1].get(gram[:-1], 0.0) for gram, chance in table.items()})
    starts = []
    for shorter, longer in itertools.pairwise(joint):
        inside: Chances = defaultdict(float)
        for gram, share in longer.items():
            inside[gram[1:]] += share
        starts.append({gram: share - inside[gram] for gram, share in shorter.items()})
    out = {(gram, False): share for gram, share in starts[3].items() if share > 1e-12}
    for shorter, longer in itertools.pairwise(starts):
        goes_on: Chances = defaultdict(float)
        for gram, share in longer.items():
            goes_on[gram[:-1]] += share
        out.update(
            {(gram, True): share - goes_on[gram] for gram, share in shorter.items() if share - goes_on[gram] > 1e-12}
        )
    return out


if __name__ == "__main__":
    main()
