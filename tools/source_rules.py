"""Checks what the linters cannot: no module past 350 lines, no database's name outside the dialects and migrations."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 350
ROOT = Path(__file__).parents[1]
SERVER = ROOT / "server" / "taskwheel_server"
GENERATED = ROOT / "clients" / "python" / "taskwheel" / "v1"
DIALECTS = re.compile("sqlite|postgres|psycopg", re.IGNORECASE)
# A migration is of its time: what the dialects say may change. The settings hold the default database's address.
KNOWS_DIALECTS = [
    *(SERVER / "db" / "dialect").glob("*.py"),
    *(SERVER / "db" / "migrations").glob("*.py"),
    SERVER / "app" / "settings.py",
]


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields names and strings with their lines, docstrings left out: prose may name a database, code may not."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield node.lineno, text
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield node.lineno, text
            case ast.FunctionDef(name=text) | ast.AsyncFunctionDef(name=text) | ast.ClassDef(name=text):
                yield node.lineno, text
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield from ((node.lineno, text) for text in [module or "", *(alias.name for alias in names)])
            case _:
                pass


def findings(path: Path) -> Iterator[str]:
    """Yields what is wrong with one module, as `file:line: message`."""
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    name = path.relative_to(ROOT)
    if lines > MAX_LINES:
        yield f"{name}:{lines}: {lines} lines; a module ends at {MAX_LINES}"
    if path.is_relative_to(SERVER) and path not in KNOWS_DIALECTS:
        for line, word in words(ast.parse(source)):
            if found := DIALECTS.search(word):
                yield f"{name}:{line}: names a database ({found[0]}); only dialects and migrations may"


def main() -> int:
    """Prints all findings; returns 1 if there are any."""
    modules = [path for folder in (SERVER, GENERATED.parent) for path in sorted(folder.rglob("*.py"))]
    found = [text for path in modules if not path.is_relative_to(GENERATED) for text in findings(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
