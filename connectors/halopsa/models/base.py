"""What HaloPSA's records have in common: exact numbers, secrets that do not show, and properties nobody knows yet.

A record's property is an attribute of the same name; HaloPSA's leading underscore stands at its end, so `_warning`
is `warning_`. Types and lengths are those of the published schema; where HaloPSA's table is narrower than its API,
the width of the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr


class Type(Enum):
    """What a property takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    JSON = "json"


ModelClass: TypeAlias = "type[Model]"


@dataclass(frozen=True)
class Width:
    """Most characters of a text; `stated`: by the API, which refuses more by path. Otherwise the table's column."""

    characters: int
    stated: bool = False


@dataclass(frozen=True)
class Digits:
    """Digits before and after the point that a number's column keeps."""

    before: int
    after: int


@dataclass(frozen=True)
class WriteOnly:
    """Marks a command: it is sent, and never comes back."""


@dataclass(frozen=True)
class Property:
    """One property as its model declares it.

    Attributes:
        name: as HaloPSA has it.
        limit: most characters of a text (None: no limit), or most digits before a number's point.
        decimals: decimals that HaloPSA keeps of a number.
        stated: whether the API itself states the limit.
        secret: a credential; like a command it never comes back.
        write_only: it never comes back.
        many: a list.
        model: of a nested record, or of each in a list.
    """

    name: str
    type: Type
    limit: int | None = None
    decimals: int = 0
    stated: bool = False
    secret: bool = False
    write_only: bool = False
    many: bool = False
    model: ModelClass | None = None


def _alias(attribute: str) -> str:
    return f"_{attribute[:-1]}" if attribute.endswith("_") else attribute


class Model(BaseModel):
    """A record of HaloPSA. Everything is optional, because HaloPSA leaves out what it likes."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=_alias,
        populate_by_name=True,
        validate_assignment=True,
        # A text that looks like a number comes as one from some shops.
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    def to_body(self) -> dict[str, Any]:
        """The record as it is sent: secrets in clear, exact numbers, unknown properties as they came, no nulls."""
        return dict(self._sent())

    def secrets(self) -> list[str]:
        """The credentials in this record, for blanking them out of messages."""
        return [text for _, value in self for text in _secrets(value)]

    def _sent(self) -> Iterator[tuple[str, Any]]:
        for name, value in self:
            if value is not None:
                yield (_alias(name) if name in type(self).model_fields else name), _plain(value)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What is set and known: nobody can tell whether an unknown property is a secret."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                yield name, value


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_body()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Model):
        yield from value.secrets()
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)


def _exact(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("a whole number or a Decimal is wanted, because money is exact")
    return value


def _no_blank(value: Any) -> Any:
    return None if value == "" else value


Text = str | None
#: The length that the API states for every text of a consumption row.
Text500 = Annotated[str | None, Width(500, stated=True)]
Whole = int | None
Flag = bool | None
Command = Annotated[bool | None, WriteOnly()]
Moment = Annotated[datetime | None, BeforeValidator(_no_blank)]
Secret = SecretStr | None
#: decimal(24,8), as the columns of consumption rows are.
Number8 = Annotated[Decimal | None, BeforeValidator(_exact), Digits(16, 8)]
#: decimal(18,5), as the columns of prices are.
Number5 = Annotated[Decimal | None, BeforeValidator(_exact), Digits(13, 5)]
#: Invoices keep theirs as binary floats, which hold 15 digits: up to six of them are decimals.
Number6 = Annotated[Decimal | None, BeforeValidator(_exact), Digits(13, 6)]
#: A part whose schema is not published.
Json = dict[str, Any] | None
JsonList = list[dict[str, Any]] | None

_TYPES: dict[Any, Type] = {
    int: Type.INTEGER,
    Decimal: Type.NUMBER,
    bool: Type.BOOLEAN,
    str: Type.TEXT,
    SecretStr: Type.TEXT,
    datetime: Type.DATE,
}


@cache
def properties_of(model: type[Model]) -> dict[str, Property]:
    """The properties that a model declares, by HaloPSA's name, in the order of the published schema."""
    return {_alias(name): _property(_alias(name), info.annotation, info.metadata)
            for name, info in model.model_fields.items()}  # fmt: skip


def _property(name: str, annotation: Any, metadata: list[Any]) -> Property:
    kind = _without_none(annotation)
    many = get_origin(kind) is list
    inner = get_args(kind)[0] if many else kind
    width = next((each for each in metadata if isinstance(each, Width)), None)
    digits = next((each for each in metadata if isinstance(each, Digits)), None)
    secret = inner is SecretStr
    return Property(
        name,
        Type.JSON if many else _TYPES.get(inner, Type.JSON),
        limit=width.characters if width else digits.before if digits else None,
        decimals=digits.after if digits else 0,
        stated=width is not None and width.stated,
        secret=secret,
        write_only=secret or any(isinstance(each, WriteOnly) for each in metadata),
        many=many,
        model=inner if isinstance(inner, type) and issubclass(inner, Model) else None,
    )


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return next(each for each in get_args(annotation) if each is not NoneType)
    return annotation
