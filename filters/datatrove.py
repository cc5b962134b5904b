"""datatrove: what filters of that library, or written for it, say of a post."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from filters.language_names import UNKNOWN
from schemas.columns import DATATROVE
from schemas.errors import SetupError, nearest

INSTALL = "pip install 'swarmfeed[datatrove]'"
SHIPPED = "datatrove.pipeline.filters"
CLASS = "filter"  # the setting that names it; all others are its own
NOT_SETTINGS = {"self", "exclusion_writer", "batch_size"}  # what it drops is written nowhere: a stage drops nothing
UNFIT = {
    "SamplerFilter": "it throws dice, and a stage says the same of a post every time",
    "LambdaFilter": "its function is no setting: write a subclass of BaseFilter",
    "LanguageFilter": "it downloads its model: the stage `language` tells languages",
    "FastTextClassifierFilter": "it downloads its model: the stage `fasttext` runs any fastText classifier",
    "C4BadWordsFilter": "it downloads its lists: subclass it and give it yours",
    "UnigramLogProbFilter": "it downloads its word counts: subclass it, with a `get_frequencies` that reads your file",
    "URLFilter": "it judges the address of a page, and a post has none",
}
"""Filters of datatrove that cannot be stages, and what to do. Subclasses of them are the user's own affair."""
DOWNLOADING = {"StanzaTokenizer", "TibetanTokenizer"}  # word splitters that fetch a model when they are first asked
PROBE = "\n\n".join(
    f"The {what} that we have by the harbour is closed to visitors, and the people of the town do not like it. "
    f"They said so with many letters to the council, which will be read out on {day}. That is all there is to say!"
    for what, day in (("museum", "Monday"), ("old library", "Friday"), ("lighthouse", "Sunday"))
)
"""An ordinary text, long enough for every rule to be asked: a filter that fails on it would fail on every post."""


@dataclass(frozen=True)
class Datatrove:
    """Ask each of `filters` whether datatrove would keep the post, and say what it answers; null without filters.

    `filters` maps a name to a class and its own settings. The class is one of datatrove.pipeline.filters, or the dotted
    path of another subclass of its BaseFilter that every worker can import. Each filter sees a document of its own: the
    clean text, the id, and `language` in the metadata where it is known. What it does to that document is not kept. A
    filter must say the same of the same post every time and reach for no network.

    >>> posts = pa.record_batch({
    ...     "id": ["1", "2"],
    ...     "clean_text": [{"text": "Where is the station?"}, {"text": "So hat es angefangen."}],
    ...     "language": [{"lang": "en"}, {"lang": "de"}],
    ... })
    >>> stage = Datatrove(filters={"questions": {"filter": "RegexFilter", "regex_exp": r"\\?$"}})
    >>> [row["answers"][0]["passed"] for row in stage(posts).to_pylist()]
    [False, True]
    """

    name: ClassVar[str] = "datatrove"
    reads: ClassVar[tuple[str, ...]] = ("id", "clean_text", "language")
    output: ClassVar[pa.StructType] = DATATROVE

    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    built: tuple[tuple[str, Any], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Build the filters and try them; raise ValueError naming the setting that is wrong, SetupError what lacks."""
        if not isinstance(self.filters, Mapping):
            raise ValueError(f"'filters' must map names to filters, got {self.filters!r}")
        built = tuple((name, _build(name, self.filters[name])) for name in sorted(self.filters))
        object.__setattr__(self, "built", built)

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry the settings alone: filters are built again where they run, whatever they hold."""
        return type(self), ({name: dict(section) for name, section in self.filters.items()},)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the answers of all filters for each row, shape (rows,); null where the text is."""
        if not self.built:
            return pa.nulls(batch.num_rows, self.output)
        answers = [self._ask(*row) for row in _rows(batch)]
        return pa.array(answers, self.output)

    def _ask(self, number: str | None, text: str | None, lang: str | None) -> dict[str, Any] | None:
        if text is None:
            return None
        return {"answers": [{"filter": name, **_answer(one, number, text, lang)} for name, one in self.built]}


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str | None, str | None, str | None]]:
    texts = pc.struct_field(batch.column("clean_text"), "text").to_pylist()
    langs = pc.struct_field(batch.column("language"), "lang").to_pylist()
    return zip(batch.column("id").to_pylist(), texts, langs, strict=True)


def _answer(one: Any, number: str | None, text: str, lang: str | None) -> dict[str, Any]:
    """Return what one filter says of one post; raise SetupError where it lacks a package."""
    document = importlib.import_module("datatrove.data").Document
    metadata = {} if lang in (None, UNKNOWN) else {"language": lang}
    try:
        (said,) = one.filter_batch([document(text=text, id=number or "", metadata=metadata)])
    except ImportError as error:
        raise SetupError(f"datatrove: {type(one).__name__}: {error}") from None
    passed, reason = said if isinstance(said, tuple) else (said, None)
    return {"passed": bool(passed), "reason": None if passed or not reason else str(reason)}


def _build(name: Any, section: Any) -> Any:
    """Build one filter and try it; raise ValueError or SetupError saying what is wrong with it."""
    where = f"'filters.{name}'"
    if not isinstance(name, str) or not name or not isinstance(section, Mapping) or CLASS not in section:
        raise ValueError(f"{where}: expected a name and a mapping with '{CLASS}', the class, got {section!r}")
    kind = _class(where, section[CLASS])
    given = {str(key): value for key, value in section.items() if key != CLASS}
    parameters = inspect.signature(kind.__init__).parameters.values()
    legal = {one.name for one in parameters} - NOT_SETTINGS
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        for key in given:
            if key not in legal:
                raise ValueError(f"{where}: {section[CLASS]} has no setting '{key}': {nearest(key, legal | {CLASS})}")
    try:
        built = kind(**given)
        _refuse_downloads(getattr(built, "language", None))
        _answer(built, "probe", PROBE, "en")
    except ImportError as error:
        raise SetupError(f"datatrove: {where}: {error}") from None
    except SetupError:
        raise
    except Exception as error:
        raise ValueError(f"{where}: it fails on an ordinary text: {type(error).__name__}: {error}") from None
    return built


def _refuse_downloads(language: Any) -> None:
    """Raise ValueError for a language whose words datatrove cuts with a model that it would fetch."""
    splitters = importlib.import_module("datatrove.utils.word_tokenizers").load_tokenizer_assignments()
    if isinstance(language, str) and language in splitters and splitters[language].args[0] in DOWNLOADING:
        raise ValueError(f"to cut words in {language!r} datatrove downloads a model: choose a language near to it")


def _class(where: str, path: Any) -> type[Any]:
    """Find the class that a path names; raise ValueError for what is no filter or cannot be a stage."""
    try:
        shipped = importlib.import_module(SHIPPED)
    except ImportError as error:
        raise SetupError(f"datatrove: {error}: {INSTALL}") from None
    if not isinstance(path, str) or not path:
        raise ValueError(f"{where}: '{CLASS}' must be the name of a class, got {path!r}")
    module_path, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_path) if module_path else shipped
    except ImportError as error:
        raise ValueError(f"{where}: {path} cannot be imported: {error}") from None
    kind: Any = getattr(module, class_name, None)
    filters = {name for name, one in vars(module).items() if _is_filter(one, shipped)}
    if not _is_filter(kind, shipped):
        raise ValueError(f"{where}: {path} is no filter: {nearest(class_name, filters - UNFIT.keys())}")
    if kind.__module__.startswith("datatrove.") and kind.__name__ in UNFIT:
        raise ValueError(f"{where}: {path} cannot be a stage: {UNFIT[kind.__name__]}")
    found: type[Any] = kind
    return found


def _is_filter(kind: Any, shipped: Any) -> bool:
    parent = importlib.import_module(f"{shipped.__name__}.base_filter").BaseFilter
    return isinstance(kind, type) and issubclass(kind, parent) and not inspect.isabstract(kind)
