"""What encodes: one class for each kind of tokenizer file, around the library that owns the format.

Every engine works on one thread: Spark already runs one worker per core. Texts are plain strings (Arrow holds no lone
surrogates); ids come as lists of int, which is the cheapest form the three libraries hand out.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Protocol

import sentencepiece
import tiktoken
import tokenizers

from pipelines.tokens.patterns import POST_PATTERN, RANKS_PATTERN

END_NAMES = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "[SEP]")
"""Names under which a tokenizer.json declares its end of document, first match wins: the format has no field for it."""


class Engine(Protocol):
    """Encode and decode with one tokenizer; never sees a null."""

    vocabulary: int
    end_of_document: int | None

    def __init__(self, data: bytes) -> None:
        """Read the bytes of a tokenizer file; raises whatever the library does when they are damaged."""
        ...

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without special ids."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Return the text that ids spell, special ids left out."""
        ...


class HuggingFaceEngine:
    """A tokenizer.json; one that swarmfeed trained is encoded by the faster engine that provably agrees with it."""

    def __init__(self, data: bytes) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_buffer(data)
        self._tokenizer.no_truncation()  # the file may ask for either: both would falsify a document
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # special tokens inside a text are text
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocabulary = max(vocabulary.values(), default=-1) + 1
        special = {token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special}
        self.end_of_document: int | None = next((vocabulary[name] for name in END_NAMES if name in special), None)
        self.fast = _as_ranks(self._tokenizer)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without special ids."""
        if self.fast is not None:
            return [self.fast.encode_ordinary(text) for text in texts]
        # a batch of one stays on this thread and keeps no offsets; no other call does both
        encode = self._tokenizer.encode_batch_fast
        return [encode([text], add_special_tokens=False)[0].ids for text in texts]

    def decode(self, ids: list[int]) -> str:
        """Return the text that ids spell, special ids left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))


class SentencePieceEngine:
    """A SentencePiece model. Control pieces cannot be typed; U+2581, its mark for a space, comes back as a space."""

    def __init__(self, data: bytes) -> None:
        self._model = sentencepiece.SentencePieceProcessor()
        self._model.LoadFromSerializedProto(data)
        self.vocabulary = int(self._model.vocab_size())
        end = int(self._model.eos_id())
        self.end_of_document: int | None = end if end >= 0 else None

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without special ids."""
        ids: list[list[int]] = self._model.EncodeAsIds(texts, num_threads=1)
        return ids

    def decode(self, ids: list[int]) -> str:
        """Return the text that ids spell, special ids left out."""
        return str(self._model.DecodeIds(ids))


class TiktokenEngine:
    """A .tiktoken file: lines of a token in base64 and its rank, which is its id.

    The file names neither its pattern nor special tokens: RANKS_PATTERN cuts the text, and no end of document is known.
    """

    def __init__(self, data: bytes) -> None:
        ranks = parse_ranks(data)
        self.vocabulary = max(ranks.values()) + 1
        self.end_of_document: int | None = None
        self._encoding = tiktoken.Encoding("file", pat_str=RANKS_PATTERN, mergeable_ranks=ranks, special_tokens={})

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text."""
        return [self._encoding.encode_ordinary(text) for text in texts]

    def decode(self, ids: list[int]) -> str:
        """Return the text that ids spell."""
        return self._encoding.decode(ids)


def parse_ranks(data: bytes) -> dict[bytes, int]:
    """Read the lines of a .tiktoken file; raise ValueError naming the line that is wrong.

    Every single byte must be a token: without that there are texts it cannot spell.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        try:
            token, rank = base64.b64decode(parts[0], validate=True), int(parts[1])
        except (binascii.Error, ValueError, IndexError):
            raise ValueError(f"line {number}: expected a token in base64, a space and its rank") from None
        if len(parts) != 2 or rank < 0 or token in ranks:
            raise ValueError(f"line {number}: expected one new token and its rank")
        ranks[token] = rank
    missing = sum(bytes([value]) not in ranks for value in range(256))
    if missing or len(set(ranks.values())) != len(ranks):
        raise ValueError(f"{missing} of the 256 single bytes are missing" if missing else "two tokens have one rank")
    return ranks


def _as_ranks(tokenizer: tokenizers.Tokenizer) -> tiktoken.Encoding | None:
    """Return an engine that gives the same ids four times as fast, or None where that cannot be shown.

    Byte-pair merging by rank of the merged token equals merging by the list of merges when both stand in the same order
    and every token is what merging makes of its own bytes. For then, where two neighbours a and b spell a token t,
    all merges inside them were those of t alone, in the same order, so (a, b) is the pair that t is merged from.
    Both are checked here for every token. Both libraries cut by POST_PATTERN alike (a test compares every character).
    """
    ranks = _mergeable_ranks(json.loads(tokenizer.to_str()))
    if ranks is None:
        return None
    whole = tokenizers.Tokenizer(tokenizer.model)
    names = sorted(ranks)
    spelled = _byte_characters()
    texts = ["".join(spelled[value] for value in name) for name in names]
    encodings = whole.encode_batch_fast(texts, add_special_tokens=False)
    if any(encoding.ids != [ranks[name]] for name, encoding in zip(names, encodings, strict=True)):
        return None
    return tiktoken.Encoding("posts", pat_str=POST_PATTERN, mergeable_ranks=ranks, special_tokens={})


def _mergeable_ranks(file: dict[str, Any]) -> dict[bytes, int] | None:
    """Return id by token bytes of a plain byte-level BPE that cuts by POST_PATTERN, None for any other tokenizer."""
    steps = (file["pre_tokenizer"] or {}).get("pretokenizers", [])
    if [step["type"] for step in steps] != ["Split", "ByteLevel"] or file["normalizer"] is not None:
        return None
    split, level = steps
    if split["pattern"] != {"Regex": POST_PATTERN} or split["behavior"] != "Isolated" or split["invert"]:
        return None
    if level["add_prefix_space"] or level["use_regex"] or any(not token["special"] for token in file["added_tokens"]):
        return None
    model = file["model"]
    odd = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    if model["type"] != "BPE" or any(model.get(name) for name in odd):
        return None
    values = {character: value for value, character in enumerate(_byte_characters())}
    special = {token["content"] for token in file["added_tokens"]}
    plain = {name: id_ for name, id_ in model["vocab"].items() if name not in special}
    if any(character not in values for name in plain for character in name):
        return None
    order = [plain["".join(pair)] for pair in model["merges"]]
    if order != sorted(order) or len(plain) != len(order) + 256:
        return None
    return {bytes(values[character] for character in name): id_ for name, id_ in plain.items()}


def _byte_characters() -> list[str]:
    """Return the character that byte-level vocabularies write for each byte: itself if it prints, else one from U+0100.

    >>> characters = _byte_characters()
    >>> characters[ord("a")], characters[ord(" ")], characters[0]
    ('a', 'Ġ', 'Ā')
    """
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [value for value in range(256) if value not in prints]
    return [chr(value) if value in prints else chr(0x100 + hidden.index(value)) for value in range(256)]
