"""Each command at a real server."""

import json

import pytest


@pytest.fixture
def echo(run):
    assert run("task create echo --cron '0 5 * * *' --tag a --label k=v --priority 3").code == 0


def test_a_task_is_created_with_all_its_fields(run):
    command = """task create nightly --handler report --cron '0 5 * * *' --cron '0 17 * * *' --time-zone Europe/Berlin
        --every 90m --at 2026-03-02T08:00:00Z --jitter 30s --payload '{"to": "ann"}' --priority 5 --tag a --tag b
        --label team=x --max-attempts 4 --retry-delay 2s --retry-delay 5s --retry-on TypeError --retry-on-lost
        --overlap SKIP --misfire RUN_ALL --run-timeout 10m --start-deadline 1h --max-concurrent-runs 2
        --display-name Nightly --description 'A report' --paused -o json"""
    task = run(command).json
    assert task["worker"] == {"handler": "report"}
    assert [sorted(set(schedule) & {"cron", "interval", "at"}) for schedule in task["schedules"]] == [
        ["cron"],
        ["cron"],
        ["interval"],
        ["at"],
    ]
    assert task["retryPolicy"]["fixedDelays"] == {"delays": ["2s", "5s"]}
    assert task["retryPolicy"]["retryableErrorNames"] == ["TypeError"]
    assert (task["overlapPolicy"], task["misfirePolicy"]["mode"], task["state"]) == ("SKIP", "RUN_ALL", "PAUSED")
    assert (task["payload"], task["priority"], task["tags"], task["labels"]) == (
        {"to": "ann"},
        5,
        ["a", "b"],
        {"team": "x"},
    )
    assert (task["runTimeout"], task["startDeadline"], task["maxConcurrentRuns"]) == ("600s", "3600s", 2)


def test_a_task_is_shown_as_table_json_or_name(run, echo):
    table = run("task get echo").out
    assert "0 5 * * *" in table
    assert "ACTIVE" in table
    assert run("task get echo -o name").out == "namespaces/default/tasks/echo\n"
    assert run("task get echo -o json").json["name"] == "namespaces/default/tasks/echo"


def test_tasks_are_listed(run, echo):
    run("task create other --handler echo")
    assert run("task list -o name").lines == ["namespaces/default/tasks/other", "namespaces/default/tasks/echo"]
    assert [task["name"][-4:] for task in run("task list -o json --filter tags:a").json] == ["echo"]
    head, *rows = run("task list --limit 1").lines
    assert head.split()[:3] == ["TASK", "STATE", "HANDLER"]
    assert len(rows) == 1


def test_a_task_is_updated_field_by_field(run, echo):
    updated = run("task update echo --priority 7 --every 5m -o json").json
    assert (updated["priority"], updated["tags"], updated["schedules"][0]["interval"]) == (7, ["a"], "300s")
    assert "schedules" not in run("task update echo --no-schedules -o json").json
    assert run("task update echo").code == 2


def test_a_task_is_paused_resumed_renamed_and_deleted(run, echo):
    assert run("task pause echo --reason holidays -o json").json["pause"]["reason"] == "holidays"
    assert run("task resume echo -o json").json["state"] == "ACTIVE"
    assert run("task rename echo other -o name").out == "namespaces/default/tasks/other\n"
    assert run("task delete other").code == 0
    assert run("task delete other").code == 3
    assert run("task delete other --allow-missing").code == 0


def test_the_next_slots_are_previewed(run, echo):
    lines = run("task preview echo --count 2").lines
    assert "05:00" in lines[0]
    assert [line.strip() for line in lines[2:]] == ["2026-03-02T05:00:00.000Z", "2026-03-03T05:00:00.000Z"]
    assert run("task preview echo --count 2 -o name").lines == ["2026-03-02T05:00:00.000Z", "2026-03-03T05:00:00.000Z"]
    new_york = "--cron '30 2 * * *' --time-zone America/New_York --after 2026-03-08T00:00:00Z"
    assert "SHIFTED" in run(f"task preview {new_york} --count 1").out
    assert run("task preview").code == 2
    assert run("task preview echo --cron @daily").code == 2


def test_slots_are_previewed_as_the_clocks_of_their_zone_show_them(run):
    berlin = "--cron '30 * * * *' --time-zone Europe/Berlin --after 2026-10-25T00:00:00Z"
    _, head, *slots = run(f"task preview {berlin} --count 3").lines
    assert head.split() == ["TIME", "Europe/Berlin", "CLOCK", "CHANGE"]
    assert [slot.split() for slot in slots] == [
        ["2026-10-25T00:30:00.000Z", "2026-10-25T02:30:00+02:00"],
        ["2026-10-25T01:30:00.000Z", "2026-10-25T02:30:00+01:00", "REPEATED"],
        ["2026-10-25T02:30:00.000Z", "2026-10-25T03:30:00+01:00"],
    ]
    run("task create both --every 1h --cron '0 5 * * *' --time-zone Asia/Tokyo")
    assert run("task preview both --count 1").lines[1].split() == ["TIME", "Asia/Tokyo", "CLOCK", "CHANGE"]


def test_slots_are_backfilled(run, echo):
    backfill = "task backfill echo 2026-02-01T00:00:00Z 2026-02-04T00:00:00Z --request-id x -o name"
    names = run(backfill).lines
    assert len(names) == 3
    assert run(backfill).lines == names


def test_a_run_is_started_looked_at_and_cancelled(run, echo):
    started = run("""task run echo --payload '{"n": 1}' --priority 9 --tag b --label k=w --schedule-time +1h -o json""")
    assert (started.json["priority"], started.json["tags"], started.json["labels"]) == (9, ["a", "b"], {"k": "w"})
    uid = started.json["uid"]
    assert "PENDING" in run(f"run get {uid}").out
    assert run("run list -o name").lines == [started.json["name"]]
    assert run("run list --task echo --state PENDING --filter 'priority > 8' -o name").lines == [started.json["name"]]
    assert run("run list --state FAILED -o name").lines == []
    assert run(f"run cancel {uid} --reason why -o json").json["stateReason"] == "why"
    assert uid in run("run list").out


def test_a_run_is_waited_for(run, echo, working):
    done = run("""task run echo --payload '{"n": 1}' --wait""")
    assert (done.code, json.loads(done.out)) == (0, {"n": 1})
    name = run("task run echo -o name").out.strip()
    assert run(f"run wait {name}").code == 0


def test_a_run_is_followed_with_its_log(run, echo, working):
    followed = run("""task run echo --payload '{"n": 1}' --follow""")
    assert "echoing" in followed.lines[0]
    assert json.loads(followed.lines[-1]) == {"n": 1}
    entry, done = run("task run echo -f -o json").out.split("\n", 1)
    assert json.loads(entry)["fields"] == {"size": 0}
    assert json.loads(done)["state"] == "SUCCEEDED"


def test_a_run_that_fails_is_told_by_the_exit_code(run, working):
    run("task create fail")
    failed = run("task run fail --wait")
    assert (failed.code, failed.out) == (1, "")
    assert "ValueError: no luck" in failed.err
    name = run("run list -o name").out.strip()
    shown = run(f"run get {name}").out
    assert "ValueError" in shown
    assert "Traceback" in shown


def test_a_log_is_printed(run, echo, working):
    run("task run echo --wait")
    name = run("run list -o name").out.strip()
    assert "echoing" in run(f"run logs {name}").out
    assert run(f"run logs {name} -f --level ERROR").out == ""


def test_the_time_to_wait_is_told_by_the_exit_code(run, echo):
    assert run("task run echo --wait --timeout 0").code == 9
    assert run("task run echo --follow --timeout 0.05").code == 9


def test_events_are_printed(run, echo):
    run("task run echo")
    types = [line.split()[2] for line in run("events").lines]
    assert types == ["task_created", "run_pending"]
    assert [line.split()[0] for line in run("events --after 1").lines] == ["2"]
    assert json.loads(run("events --limit 1 -o json").out)["type"] == "run_pending"
    assert run("events --filter 'type = task_created' -o name").lines == ["namespaces/default/tasks/echo"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("task get nope", 3, "TASK_NOT_FOUND"),
        ("run get 019ca945-0a00-76d3-aac7-df681f0b47a6", 3, "RUN_"),
        ("task create 'not an id'", 2, "task_id"),
        ("task create x --cron '61 * * * *'", 2, "task.schedules[0].cron"),
        ("task create x --every soon", 2, "90s"),
        ("task create x --retry-delay 1s", 2, "--max-attempts"),
        ("task list --filter 'x ='", 2, "filter"),
        ("events --follow --after 99", 2, "99"),
        ("task get x --address 127.0.0.1:9", 6, "UNAVAILABLE"),
        ("task get x --address 127.0.0.1:9", 6, "is the server up?"),
        ("worker nowhere:worker", 2, "nowhere"),
        ("worker json:dumps", 2, "not a taskwheel.Worker"),
        ("serve --lease soon", 2, "duration"),
        ("worker json:dumps --grace soon", 2, "90s"),
        ("run wait x --timeout soon", 2, "90s"),
        ("call TaskService/GetTask --timeout soon", 2, "90s"),
        ("nope", 2, "nope"),
    ],
)
def test_each_condition_has_its_exit_code(run, line, code, told):
    outcome = run(line)
    assert (outcome.code, outcome.out) == (code, "")
    assert told in outcome.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("task run ehco", "  did you mean 'echo'?\n"),
        ("task get namespaces/default/tasks/echoo", "  did you mean 'echo'?\n"),
        ("task get Echo", ""),
        ("task get nightly", ""),
    ],
)
def test_a_task_of_nearly_the_same_id_is_named(run, echo, line, told):
    outcome = run(line)
    assert outcome.code == 3
    assert outcome.err.partition("\n")[2] == told


def test_a_request_that_is_too_large_is_a_mistake(run, echo, tmp_path):
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"text": "x" * 5 * 2**20}), encoding="utf-8")
    outcome = run(f"task run echo --payload @{path}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "at most 4,194,304" in outcome.err


def test_what_is_taken_is_told_by_the_exit_code(run, echo):
    assert run("task create echo").code == 4
    assert run("task update echo --etag '\"99\"' --priority 1").code == 5


def test_an_option_can_be_a_variable(run, echo, monkeypatch):
    monkeypatch.setenv("TASKWHEEL_OUTPUT", "name")
    monkeypatch.setenv("TASKWHEEL_TASK_LIST_LIMIT", "1")
    assert run("task list").lines == ["namespaces/default/tasks/echo"]
