#!/bin/sh
# setup.sh run|dev: makes .venv hold what requirements/run.lock or dev.lock names, and this checkout.
# Does nothing when the stamp in .venv shows that it does already. Uses uv, or pip where uv cannot work.
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
if "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
    pip() { "$python" -m pip --python .venv/bin/python --quiet --disable-pip-version-check "$@"; }
elif .venv/bin/python -m ensurepip >/dev/null 2>&1; then
    pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
else
    pip() { return 1; }
fi
# To install uv with pip and the rest with uv takes a third of the time that pip takes for all.
uv=uv
if ! uv --version >/dev/null 2>&1; then
    uv=.venv/bin/uv
    pip install --no-compile --require-hashes -r requirements/setup.lock || true
fi
install() { "$uv" pip install --quiet --python .venv/bin/python "$@" || pip install "$@"; }
if ! { install --require-hashes -r "requirements/$group.lock" && install --no-deps --no-build-isolation -e .; }; then
    echo "the packages could not be installed, see above. $python needs pip (Debian and Ubuntu: apt-get install python3-pip)" >&2
    echo "or uv, and a package index that one of them reaches." >&2
    exit 1
fi
# On all cores; and where Python may not write bytecode, each start would compile the libraries again.
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true

# dev.lock holds all of run.lock, in the same versions.
{ echo "run $(sum run)"; if [ "$group" = dev ]; then echo "dev $(sum dev)"; fi; } > "$stamp"
