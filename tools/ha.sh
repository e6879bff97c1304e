#!/bin/sh
# ha.sh [PYTEST ARGUMENTS]: the tests on three etcd, three PostgreSQL under Patroni, and PgBouncer.
# What is missing of them is installed where apt-get and the right to use it are there, else named.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

missing=
for program in etcd patroni pgbouncer; do command -v "$program" >/dev/null || missing="$missing $program"; done
# Debian keeps PostgreSQL's programs out of the way.
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$missing postgresql"

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "make test-ha needs these programs, and did not find:$missing" >&2
        echo "Debian and Ubuntu: apt-get install postgresql etcd-server patroni pgbouncer" >&2
        exit 1
    fi
    echo "installing:$missing ..." >&2
    apt-get update -qq
    # The services that come with them are not what is tested: their own servers need not run.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        postgresql etcd-server patroni pgbouncer >/dev/null
fi

echo "about 5 minutes: a PostgreSQL that is lost is back after 20 s or more ..." >&2
# At full size less load than 200 calls a second does not count.
TASKWHEEL_TEST_FAULTS=full exec .venv/bin/python -m pytest tests/ha "$@"
