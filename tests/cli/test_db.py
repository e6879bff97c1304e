"""`taskwheel db`: without a server."""

import shlex
from pathlib import Path

import pytest

from taskwheel.cli import main
from taskwheel_server.db.tables import SCHEMA_VERSION


@pytest.fixture
def db(capsys):
    def run(command, url):
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["db", *shlex.split(command), "--database-url", url])
        captured = capsys.readouterr()
        return caught.value.code, captured.out + captured.err

    return run


def test_the_schema_is_made_and_told(db, databases):
    url = databases.empty()
    assert db("status", url) == (5, f"the database has no schema yet; this server knows schema {SCHEMA_VERSION}\n")
    assert db("upgrade", url) == (0, f"the database had no schema yet: schema {SCHEMA_VERSION}\n")
    known = f"the database has schema {SCHEMA_VERSION}; this server knows schema {SCHEMA_VERSION}\n"
    assert db("status", url) == (0, known)
    assert db("upgrade", url) == (0, f"the database is up to date: schema {SCHEMA_VERSION}\n")


def test_to_look_makes_no_file(db, tmp_path):
    assert db("status", f"sqlite:///{tmp_path}/none.db")[0] == 5
    assert list(Path(tmp_path).iterdir()) == []


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("mysql://ann:secret@host/x", 2, "--database-url"),
        ("postgresql://ann:secret@127.0.0.1:1/none", 6, "cannot be used"),
        ("", 2, "--database-url"),
    ],
)
@pytest.mark.parametrize("command", ["status", "upgrade"])
def test_what_cannot_be_used_is_said(db, command, url, code, says):
    exit_code, said = db(command, url)
    assert exit_code == code
    assert says in said
    assert "secret" not in said


def test_a_file_in_use_is_left_alone(db, server, database_url):
    code, said = db("upgrade", database_url)
    assert (code, said) == (5, "error: another server is using this database file\n")
