"""Where tables and constructs must be told otherwise on one database than on another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, Text, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


def string(length: int | None = None) -> TypeEngine[str]:
    """Return a type of text that is compared as bytes: not as the language of the database has it."""
    plain = String(length) if length else Text()
    return plain.with_variant(Text(collation="C"), "postgresql")


class json_text(FunctionElement[str]):  # noqa: N801 - an SQL function
    """The text of a key (a literal of ours) of a column that holds JSON as text: `json_text(column, key)`."""

    type = String()
    inherit_cache = True


@compiles(json_text)
def _json_text(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, key = element.clauses
    return compiler.process(func.json_extract(column, f"$.{key.value}"), **options)


@compiles(json_text, "postgresql")
def _json_text_of_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, key = element.clauses
    return f"(({compiler.process(column, **options)})::json ->> {compiler.process(key, **options)})"
