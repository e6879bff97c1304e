import io
from datetime import UTC, datetime, timedelta

import pytest
import typer

from taskwheel.cli import values


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("1h30m", 5400), ("500ms", 0.5), ("2d", 172800)]
)
def test_durations(text, seconds):
    assert values.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "x", "5 m", "-5s", "5w", "1h30", "s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter):
        values.duration(text)


def test_instants_have_a_zone_or_are_relative():
    assert values.instant("2026-01-31T08:00:00Z") == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert values.instant("2026-01-31T08:00:00+01:00") == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert values.instant("+1h") > values.instant("now") > values.instant("-1h")


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00", "tomorrow", "+x"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(typer.BadParameter):
        values.instant(text)


def test_a_payload_stands_there_or_in_a_file(tmp_path, monkeypatch):
    path = tmp_path / "payload.json"
    path.write_text('{"a": 1}', encoding="utf-8")
    assert values.payload('{"a": 1}') == values.payload(f"@{path}") == {"a": 1}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 2}'))
    assert values.payload("-") == {"a": 2}


@pytest.mark.parametrize("text", ["[1]", "{", "@/does/not/exist", "1"])
def test_what_is_no_payload_is_refused(text):
    with pytest.raises(typer.BadParameter):
        values.payload(text)


def test_labels_are_pairs():
    assert values.labels(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    assert values.labels(None) == {}
    with pytest.raises(typer.BadParameter):
        values.labels(["a"])
