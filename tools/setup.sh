#!/bin/sh
# setup.sh run|dev: makes .venv hold what requirements/run.lock or dev.lock names, and this checkout.
# Does nothing when the stamp in .venv shows that it does already. Uses uv when there is one, else pip.
set -eu
cd "$(dirname "$0")/.."
group=$1

# The path counts too: a checkout that was moved needs its links made anew.
sum() { { pwd; cat pyproject.toml "requirements/$1.lock"; } | cksum; }
stamp=.venv/.taskwheel-setup
if [ -x .venv/bin/python ] && grep -qsxF "$group $(sum "$group")" "$stamp"; then exit 0; fi

for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
    python=
done
if [ -z "$python" ]; then
    echo "taskwheel needs Python 3.11 or later, and found none. Install one, or name it: make setup PYTHON=/path/to/python3" >&2
    exit 1
fi

echo "setting up .venv ($group) ..." >&2
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv --without-pip .venv
fi
if command -v uv >/dev/null; then
    pip() { command=$1; shift; uv pip "$command" --quiet --python .venv/bin/python "$@"; }
    compile=--compile-bytecode
else
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1 && ! .venv/bin/python -m ensurepip >/dev/null 2>&1; then
        echo "$python has no ensurepip: install it (Debian and Ubuntu: apt-get install python3-venv), or install uv." >&2
        exit 1
    fi
    pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
    compile=--compile
fi
pip install $compile --require-hashes -r "requirements/$group.lock"
pip install --no-deps --no-build-isolation -e .

# dev.lock holds all of run.lock, in the same versions.
{ echo "run $(sum run)"; if [ "$group" = dev ]; then echo "dev $(sum dev)"; fi; } > "$stamp"
