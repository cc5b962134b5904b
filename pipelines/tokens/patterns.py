"""Where texts are cut before byte pairs are merged: one pattern for posts, one for files that name none.

The time they take is linear in the text, for a post may be a megabyte of one sign. They must match every character of
every text: what is cut away is lost. Emoji are listed by block and not by Unicode property, because that property has
lost and won characters from one Unicode version to the next.
"""

from __future__ import annotations

_UPPER = r"\p{Lu}\p{Lt}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}\x{200C}\x{200D}"  # joiners belong to the word: Persian, Indic scripts
_CONTRACTION = r"(?:['\x{2019}](?:[sStTmMdD]|[rRvV][eE]|[lL][lL]))?"
_PICTURE = r"\x{231A}-\x{23FF}\x{2600}-\x{27BF}\x{2B05}-\x{2B55}\x{1F000}-\x{1F1E5}\x{1F200}-\x{1FAFF}"
_MODIFIER = r"\x{FE0F}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}"  # emoji style, skin tones, tags of regional flags
_EMOJI = rf"[{_PICTURE}][{_MODIFIER}]*(?:\x{{200D}}[{_PICTURE}][{_MODIFIER}]*)*"
_FLAG = r"[\x{1F1E6}-\x{1F1FF}]{2}"

POST_PATTERN = "|".join(
    (
        r" ?https?://(?:t\.co/|www\.)?",
        rf" ?[{_UPPER}]*[{_LOWER}]+{_CONTRACTION}",  # ends where #CamelCase begins a new word
        rf" ?[{_UPPER}]+{_CONTRACTION}",
        r" ?\p{N}{1,3}",
        rf" ?(?:{_EMOJI}|{_FLAG})",
        r" ?[#@]",  # the word of a hashtag or mention is then the same as in a sentence
        rf" ?[^\s\p{{L}}\p{{M}}\p{{N}}#@{_PICTURE}\x{{200C}}\x{{200D}}]+",
        r"\s*[\r\n]+",
        r"\s+",
    )
)
"""How the tokenizers that swarmfeed trains cut a post.

Words of any script with the space before them, digits by three, an emoji sequence or flag in one piece, the start of a
link, the sign of a hashtag or mention, runs of other signs, line ends, other space.
"""

RANKS_PATTERN = "|".join(
    (
        r"'(?i:s|t|re|ve|m|ll|d)",
        r"[^\r\n\p{L}\p{N}]?+\p{L}++",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*",
        r"\s{0,1000}[\r\n]",
        r"\s{1,1000}(?!\S)",  # bounded: a look-ahead over a million spaces overflows the engine's stack
        r"\s+",
    )
)
"""How a .tiktoken file is applied: as published vocabularies of 100 thousand ranks expect their text to be cut.

Words with the sign or space before them, English contractions, digits by three, runs of signs, and space of which the
last one goes with the next word.
"""
