"""Word and sentence tables of the simulated languages: data only, every line written for this generator."""

from __future__ import annotations

from pipelines.simulate.tables.cyrillic import RUSSIAN, UKRAINIAN
from pipelines.simulate.tables.east_asian import CHINESE, JAPANESE, KOREAN
from pipelines.simulate.tables.english import ENGLISH
from pipelines.simulate.tables.romance import FRENCH, PORTUGUESE, SPANISH
from pipelines.simulate.tables.southern import ARABIC, HINDI
from pipelines.simulate.tables.table import Table
from pipelines.simulate.tables.western import GERMAN, INDONESIAN, TURKISH

TABLES: tuple[Table, ...] = (
    ENGLISH,
    JAPANESE,
    SPANISH,
    PORTUGUESE,
    ARABIC,
    INDONESIAN,
    FRENCH,
    KOREAN,
    TURKISH,
    RUSSIAN,
    GERMAN,
    HINDI,
    CHINESE,
    UKRAINIAN,
)
"""Every language, commonest first; the order is part of what a seed means."""

__all__ = ["TABLES", "Table"]
