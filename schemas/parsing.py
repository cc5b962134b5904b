"""Plain data (from YAML, JSON or words of a call) checked against a frozen model, faults named with what is legal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigError, nearest

Model = TypeVar("Model", bound=BaseModel)

_QUOTED = re.compile(r"'([^']*)'")


def parse(model: type[Model], data: object, where: str) -> Model:
    """Check plain data and freeze it; raise ConfigError naming the file, the key and the nearest legal key or word."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first: Mapping[str, Any] = error.errors()[0]
        path = [str(part) for part in first["loc"]]
        key = ".".join(path) or "top level"
        if first["type"] == "extra_forbidden":
            hint = nearest(path[-1], legal_keys(model, path[:-1]))
            raise ConfigError(f"{where}: unknown key '{key}': {hint}") from None
        if first["type"] in ("literal_error", "enum"):
            hint = nearest(str(first["input"]), _QUOTED.findall(str(first["ctx"]["expected"])))
            raise ConfigError(f"{where}: '{key}': no such choice: {first['input']!r}, {hint}") from None
        if first["type"] == "missing":
            raise ConfigError(f"{where}: '{key}' is missing") from None
        said = str(first["msg"]).removeprefix("Value error, ")
        shown = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise ConfigError(f"{where}: '{key}': {said}{shown}") from None


def legal_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys that the section at a path may have; none where it is no section."""
    section: Any = model
    for part in path:
        section = _inner(section, part)
    if not _is_model(section):
        return []
    return [field.alias or name for name, field in section.model_fields.items()]


def _inner(section: Any, key: str) -> Any:
    """Return the kind of what stands under a key of a section, None where there is nothing below."""
    if _is_model(section):
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        return _section(fields[key].annotation) if key in fields else None
    if get_origin(section) is dict:
        return _section(get_args(section)[1])
    return None


def _section(annotation: Any) -> Any:
    """Return the model, or the dict of models, that an annotation allows."""
    kinds = (annotation, *get_args(annotation)) if get_origin(annotation) is not dict else (annotation,)
    return next((kind for kind in kinds if _is_model(kind) or get_origin(kind) is dict), None)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
