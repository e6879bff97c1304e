import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  at,
  cron,
  dateOf,
  every,
  misfire,
  payloadOf,
  resultOf,
  retry,
  stateOf,
  Client,
  AlreadyExists,
  Aborted,
  DeadlineExceeded,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  RequestTooLarge,
  RpcError,
  RunFailed,
  RunNotDone,
  TaskRun_State,
  TaskwheelError,
  toJson,
  Unavailable,
  UnsupportedValue,
} from "taskwheel";
import { TaskRunSchema } from "taskwheel/v1/task_run";
import { all, gate, take, TestServer } from "./server.js";

let server: TestServer;
let client: Client;

before(async () => {
  server = await TestServer.start();
  client = server.client();
  const worker = server.worker();
  worker.handler("echo", (run) => run.payload);
  worker.handler("fail", () => {
    throw new RangeError("too far");
  });
  server.work(worker);
});

after(async () => server.stop());

test("a task is created with all that can be said of it, and told as it is", async () => {
  const task = await client.createTask("full", {
    handler: "echo",
    schedules: [
      cron("30 2 * * *", { timeZone: "Europe/Berlin", dstGap: "SKIP", jitter: 1000 }),
      every(3_600_000, { endTime: new Date("2100-01-01") }),
      at(new Date("2099-01-01")),
    ],
    payload: { to: "ann" },
    retryPolicy: retry(4, { delays: [2000, 5000, 10_000], only: ["RangeError"] }),
    misfirePolicy: misfire("RUN_ALL", { catchupWindow: 60_000, maxCatchupRuns: 5 }),
    overlapPolicy: "QUEUE_ONE",
    displayName: "Everything",
    priority: -5,
    tags: ["one"],
    labels: { team: "x" },
    runTimeout: 90_500,
    maxConcurrentRuns: 3,
  });
  assert.equal(task.name, "namespaces/default/tasks/full");
  assert.equal(task.schedules.length, 3);
  assert.deepEqual(payloadOf({ input: task.input } as never), { to: "ann" });
  assert.equal(task.retryPolicy?.backoff.case, "fixedDelays");
  assert.equal(task.runTimeout?.nanos, 500_000_000);
  assert.ok(dateOf(task.nextRunTime)! > new Date());
  const updated = await client.task("full").update({ priority: 7, retryPolicy: null, schedules: [] });
  assert.equal(updated.priority, 7);
  assert.equal(updated.retryPolicy, undefined);
  assert.equal(dateOf(updated.nextRunTime), undefined);
  assert.equal(updated.displayName, "Everything");
});

test("a run is started by name, by full name and by uid, and answered as it was admitted", async () => {
  const { uid } = await client.createTask("named", { handler: "echo", payload: { of: "task" } });
  for (const name of ["named", "tasks/named", "namespaces/default/tasks/named", uid]) {
    const run = await client.task(name).run();
    assert.equal(stateOf(run), "PENDING");
    assert.equal(run.taskId, "named");
    const done = await client.wait(run, { timeout: 10_000 });
    assert.equal(done.state, TaskRun_State.SUCCEEDED);
    assert.deepEqual(resultOf(done), { of: "task" });
    assert.ok(dateOf(done.startTime)! <= dateOf(done.endTime)!);
    assert.equal(JSON.parse(JSON.stringify(toJson(TaskRunSchema, done))).state, "SUCCEEDED");
  }
});

test("a result comes back as the JSON value that it was", async () => {
  await client.createTask("json", { handler: "echo" });
  const payload = { text: "žluťoučký 👍 \0", deep: [[1.5, null, true, {}], "__proto__"], big: 2 ** 53, empty: "" };
  assert.deepEqual(await client.runWithResult("json", payload, { timeout: 10_000 }), payload);
  const evil = JSON.parse('{"__proto__": {"polluted": true}}') as object;
  assert.deepEqual(await client.task("json").runWithResult(evil), evil);
});

test("a run that fails throws RunFailed with the run and its error", async () => {
  await client.createTask("failing", { handler: "fail" });
  const error = await rejected(client.runWithResult("failing", {}, { timeout: 10_000 }), RunFailed);
  assert.equal(error.run.error?.name, "RangeError");
  assert.equal(error.run.error?.message, "too far");
  assert.match(error.run.error?.stack ?? "", /client\.test/);
});

test("past the deadline of the caller the run goes on, and is named", async () => {
  await client.createTask("slow", { handler: "nobody-has-it" });
  const error = await rejected(client.runWithResult("slow", {}, { timeout: 50 }), RunNotDone);
  assert.equal((await client.getRun(error.run)).state, TaskRun_State.PENDING);
  assert.equal((await client.cancel(error.run, { reason: "enough" })).stateReason, "enough");
});

test("errors are told by their class and reason, with what changes in them", async () => {
  const missing = await rejected(client.task("Named").run({}), NotFound);
  assert.equal(missing.reason, "TASK_NOT_FOUND");
  assert.equal(missing.code, "NOT_FOUND");
  assert.match(missing.metadata["task"]!, /tasks\/Named$/);
  const invalid = await rejected(
    client.createTask("x", { handler: "x", schedules: [cron("0 25 * * *")] }),
    InvalidArgument,
  );
  assert.deepEqual(Object.keys(invalid.fields), ["task.schedules[0].cron"]);
  await client.createTask("once", { handler: "x" });
  assert.equal(
    (await rejected(client.createTask("once", { handler: "x" }), AlreadyExists)).reason,
    "TASK_ALREADY_EXISTS",
  );
  await rejected(client.task("once").update({ priority: 1 }, { etag: '"stale"' }), Aborted);
  await rejected(client.task("once").backfill(new Date(0), new Date(1000)), FailedPrecondition);
  await rejected(client.task("once").run({ text: "x".repeat(5 * 2 ** 20) }), RequestTooLarge);
});

test("a request id stands for one run", async () => {
  await client.createTask("ids", { handler: "nobody-has-it" });
  const first = await client.task("ids").run({ n: 1 }, { requestId: "once" });
  assert.equal((await client.task("ids").run({ n: 1 }, { requestId: "once" })).uid, first.uid);
  assert.equal(
    (await rejected(client.task("ids").run({ n: 2 }, { requestId: "once" }), AlreadyExists)).reason,
    "REQUEST_ID_REUSED",
  );
});

test("lists go over all pages", async () => {
  await client.createTask("many", { handler: "nobody-has-it", tags: ["many"] });
  const started = await client.runMany(
    Array.from({ length: 7 }, (_, n) => ({ task: "many", payload: { n }, tags: [`${n}`] })),
  );
  const listed = await all(client.task("many").runs({ pageSize: 3, orderBy: "create_time", full: true }));
  assert.deepEqual(
    listed.map((run) => run.uid),
    started.map((run) => run.uid),
  );
  assert.deepEqual(
    listed.map(payloadOf),
    Array.from({ length: 7 }, (_, n) => ({ n })),
  );
  assert.equal((await take(client.listTasks({ filter: "tags:many" }), 5)).length, 1);
  const events = await all(client.listEvents({ filter: "task = many", orderBy: "sequence", pageSize: 2 }));
  assert.deepEqual(
    events.map((event) => event.type),
    ["task_created", ...Array<string>(7).fill("run_pending")],
  );
});

test("a watch that stands misses nothing, and a log is followed to its end", async () => {
  await client.createTask("watched", { handler: "talk" });
  const go = gate();
  const worker = server.worker();
  worker.handler("talk", async (run) => {
    run.log.info("begun", { attempt: run.attempt, at: new Date(0), what: () => undefined });
    await go.opened;
    run.log.warning("going on");
    return "said";
  });
  const stop = server.work(worker);
  const events = await client.watchEvents({ filter: "task = watched" });
  const run = await client.task("watched").run({});
  const entries = client.followLogs(run, { minLevel: "INFO" });
  const first = await entries.next();
  assert.equal(first.value?.message, "begun");
  go.open();
  assert.deepEqual(
    (await all(entries)).map((entry) => entry.message),
    ["going on"],
  );
  const types = (await take(events, 3)).map((event) => event.type);
  assert.deepEqual(types, ["run_pending", "run_started", "run_succeeded"]);
  await stop();
});

test("a status is that of the last attempt or of the latest run, and null for what is not there", async () => {
  const { uid } = await client.createTask("status", { handler: "fail", retryPolicy: retry(2, { delays: [0] }) });
  assert.equal(await client.getTaskStatus(uid), null);
  const run = await client.task("status").run({});
  const last = await client.wait(run, { followRetries: true, timeout: 10_000 });
  for (const id of [run.uid, run.name, uid, "status"]) {
    assert.equal((await client.getTaskStatus(id))?.uid, last.uid);
  }
  assert.equal(await client.task("json").getTaskStatus(run.uid), null);
  assert.equal(await client.getTaskStatus("no-such-task"), null);
});

test("a task is paused, resumed, renamed, previewed, backfilled and deleted", async () => {
  await client.createTask("kept", { handler: "echo", schedules: [cron("0 8 * * 1", { startTime: new Date(0) })] });
  const task = client.task("kept");
  assert.equal((await task.pause("holidays")).pause?.reason, "holidays");
  assert.ok((await task.resume()).nextRunTime);
  assert.equal((await task.rename("moved")).name, "namespaces/default/tasks/moved");
  const preview = await task.preview({ count: 2, after: new Date("2026-01-01T00:00:00Z") });
  assert.deepEqual(
    preview.slots.map((slot) => dateOf(slot.time!).toISOString()),
    ["2026-01-05T08:00:00.000Z", "2026-01-12T08:00:00.000Z"],
  );
  assert.match((await client.preview(cron("0 8 * * 1"))).description, /Monday/);
  const runs = await task.backfill(new Date("2026-01-01"), new Date("2026-01-15"), { requestId: "january" });
  assert.equal(runs.length, 2);
  await task.delete();
  await rejected(task.get(), NotFound);
  await task.delete({ allowMissing: true });
});

test("what JSON does not have is refused before it is sent, with its path", async () => {
  const cases: [object, string][] = [
    [{ items: [1, { when: Symbol("x") }] }, "payload.items[1].when"],
    [{ n: Number.NaN }, "payload.n"],
    [{ n: 2n ** 53n + 1n }, "payload.n"],
    [{ s: "\ud800" }, "payload.s"],
    [{ map: new Map() }, "payload.map"],
    [[1], "payload"],
  ];
  const fraction = await rejected(client.task("json").run({}, { priority: 1.5 }), UnsupportedValue);
  assert.match(fraction.path, /priority/);
  const mistaken = client.createTask("mistaken", { handler: "echo", schedules: ["0 5 * * *" as never] });
  assert.match((await rejected(mistaken, UnsupportedValue)).path, /Schedule\.cron/);
  const misspelt = { handler: "echo", scheduls: [cron("0 5 * * *")] };
  assert.equal((await rejected(client.createTask("misspelt", misspelt), UnsupportedValue)).path, "scheduls");
  assert.throws(() => cron("0 5 * * *", { dstGap: "skip" as never }), /"skip" is none of .*SKIP/);
  const lower = client.createTask("lower", { handler: "echo", overlapPolicy: "skip" as never });
  await rejected(lower, UnsupportedValue);
  for (const [payload, path] of cases) {
    assert.equal((await rejected(client.task("json").run(payload), UnsupportedValue)).path, path);
  }
  const circle: Record<string, unknown> = {};
  circle["of"] = circle;
  await rejected(client.task("json").run(circle), UnsupportedValue);
  const kept = { when: new Date(0), n: 5n, left: undefined, many: [undefined] };
  const result = await client.runWithResult("json", kept);
  assert.deepEqual(result, { when: "1970-01-01T00:00:00.000Z", n: 5, many: [null] });
});

test("a call has a deadline, and is given up by its signal", async () => {
  await rejected(client.task("json").run({}, { timeout: 0 }), DeadlineExceeded);
  await client.serverInfo({ timeout: Infinity });
  const run = await client.task("slow").run({});
  const giveUp = new AbortController();
  const waiting = client.wait(run, { signal: giveUp.signal });
  const watching = client.watchEvents({ signal: giveUp.signal }).then((events) => take(events, 1000));
  giveUp.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(watching, /enough/);
});

test("a client that is closed ends what is under way, and opens no connection again", async () => {
  const closing = server.client();
  const run = await closing.task("slow").run({});
  const pending = [
    closing.wait(run),
    closing.watchEvents().then((events) => take(events, 1000)),
    take(closing.followLogs(run), 1000),
    closing.task("slow").run({}),
  ];
  const ends = Promise.allSettled(pending);
  await closing.serverInfo();
  await closing.close();
  assert.deepEqual(
    (await ends).slice(0, 3).map((end) => end.status),
    Array(3).fill("rejected"),
  );
  await rejected(closing.serverInfo(), TaskwheelError);
  const error = await rejected(closing.watchEvents(), TaskwheelError);
  assert.ok(!(error instanceof RpcError));
});

test("an address is a host and a port", () => {
  for (const address of ["http://localhost:7420", "localhost:7420/", "localhost:74200", "::1:7420"]) {
    assert.throws(() => new Client({ address }), RangeError);
  }
  new Client({ address: "[::1]:7420" });
});

test("where nobody listens the call is Unavailable, and not for long", async () => {
  const alone = server.client({ address: "127.0.0.1:1" });
  const error = await rejected(alone.serverInfo(), Unavailable);
  assert.match(error.message, /ECONNREFUSED/);
  await rejected(alone.watchEvents(), Unavailable);
});

/** The error of this class that a call is rejected with. */
async function rejected<E extends Error>(call: Promise<unknown>, kind: new (...args: never[]) => E): Promise<E> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof kind, `${kind.name} was expected, not ${String(error)}`);
  return error;
}
