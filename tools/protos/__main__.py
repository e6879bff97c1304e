"""Generate everything that is made from protos/, for every language, and the reference.

    python -m tools.protos            write it
    python -m tools.protos --check    fail if what is committed differs

The stubs are made from a copy of the contract without the options of buf.validate and google.api: a client that
imported those would clash with any other copy of them in its process ("duplicate file name").
"""

import sys
from collections.abc import Callable
from pathlib import Path

from tools.protos import reference, stubs
from tools.protos.contract import ROOT, Files
from tools.toolchains import MissingToolchain, skipping_fails

# By the folder, of which all files that the pattern names are generated.
GENERATED: dict[tuple[Path, str], Callable[[], Files]] = {
    (Path("clients/python/taskwheel/v1"), "*.py*"): stubs.python,
    (Path("server/taskwheel_server/rpc"), "*.binpb"): stubs.descriptors,
    (Path("clients/go/taskwheel/v1"), "*"): stubs.go,
    (Path("clients/node/src/gen/taskwheel/v1"), "*"): stubs.typescript,
    (Path("clients/node/src/gen/google/rpc"), "*"): stubs.typescript_errors,
    (Path("clients/java/src/main/proto/taskwheel/v1"), "*"): stubs.java,
    (Path("docs/api"), "*"): reference.pages,
}


def main() -> int:
    """Generate, or check; return 1 if something was stale or could not be made."""
    checking = sys.argv[1:] == ["--check"]
    failed = False
    for (folder, pattern), generate in GENERATED.items():
        try:
            made = {ROOT / folder / name: content for name, content in generate().items()}
        except MissingToolchain as error:
            print(f"skipped {folder}: {error}", file=sys.stderr)
            failed |= not checking or skipping_fails()
            continue
        there = {path: path.read_bytes() for path in (ROOT / folder).glob(pattern) if path.is_file()}
        for path in sorted(path for path in made | there if made.get(path) != there.get(path)):
            if checking:
                print(f"{path.relative_to(ROOT)} is not what protos/ says: run `make protos`", file=sys.stderr)
                failed = True
            elif path in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(made[path])
            else:
                path.unlink()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
