"""Names and scripts of languages: what the stage calls them, and which letters they are written in."""

from __future__ import annotations

UNKNOWN = "und"

RENAMED = {
    "als": "gsw",
    "arq": "ar",
    "arz": "ar",
    "bh": "bho",
    "cha": "ch",
    "eml": "egl",
    "kab": "ber",
    "kzj": "dtp",
    "no": "nb",
    "sh": "sr",
    "swg": "gsw",
    "wuu": "zh",
}
"""Labels of lid.176 or of a training set that are not BCP 47, or finer than a short post can tell."""

ONE_LANGUAGE = {
    "Armn": "hy",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hang": "ko",
    "Kana": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thaa": "dv",
    "Thai": "th",
}
"""Scripts that posts use for one language only."""

SCRIPTS_OF = {
    "Arab": "ar arz azb ckb fa lrc mzn pnb ps sd ug ur az kk ku pa",
    "Armn": "hy",
    "Beng": "as bn bpy",
    "Cyrl": "av az ba be bg bxr ce cv kk krc kv ky lez mhr mk mn mrj myv os ru rue sah sr tg tk tt tyv ug uk uz xal",
    "Deva": "bh dty gom hi mai mr ne new sa sd",
    "Ethi": "am",
    "Geor": "ka xmf",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hang": "ko",
    "Hani": "ja ko wuu yue zh",
    "Hebr": "he yi",
    "Kana": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mong": "mn",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thaa": "dv",
    "Thai": "th",
    "Tibt": "bo",
}
"""Languages of lid.176 by script; those named nowhere here, and those of `ALSO_LATIN`, use Latin letters."""

ALSO_LATIN = frozenset(("az", "gom", "kk", "ku", "sr", "tk", "tt", "ug", "uz"))

COMMON = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko"),
    *("nb", "nl", "pl", "pt", "ro", "ru", "sv", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh", "hi-Latn"),
)
"""Languages that platforms see much of."""


def bcp47(label: str) -> str:
    """Return the name the stage has for a label of lid.176 or of a training set.

    >>> bcp47("arz"), bcp47("no"), bcp47("fr")
    ('ar', 'nb', 'fr')
    """
    return RENAMED.get(label, label)


LEFT_OUT = frozenset(
    (
        *("ang", "ia", "ie", "io", "lfn", "nov", "orv", "tzl"),  # dead or invented: no post is in them
        *("ast", "awa", "ch", "csb", "dsb", "fo", "fy", "gsw", "hsb", "max", "pms"),  # under 450 sentences
        *("cbk", "dtp", "kw", "pam"),  # few speakers online, and their words are those of a large neighbour
    )
)
"""Languages of tatoeba_laser that are not taught: as columns they took words from large languages on short texts."""
