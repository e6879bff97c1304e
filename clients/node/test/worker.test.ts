import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { payloadOf, resultOf, retry, stateOf, Unauthenticated, Worker, type Client } from "taskwheel";
import { all, gate, Proxy, take, TestServer } from "./server.js";

let server: TestServer;
let client: Client;

before(async () => {
  server = await TestServer.start();
  client = server.client();
});

after(async () => server.stop());

test("a handler is given its run, and an attempt that fails is followed by the next", async () => {
  const { uid } = await client.createTask("given", {
    handler: "given",
    tags: ["a"],
    labels: { k: "v" },
    retryPolicy: retry(3, { delays: [0], only: ["TooSoon"] }),
  });
  class TooSoon extends Error {}
  const worker = server.worker({ workerId: "me" });
  worker.handler<{ n: number }>("given", (run) => {
    if (run.attempt < 3) {
      throw new TooSoon(`attempt ${run.attempt}`, { cause: new Error("the root of it") });
    }
    return { n: run.payload.n + 1, task: run.task, handler: run.handler, tags: run.tags, labels: run.labels };
  });
  const stop = server.work(worker);
  const run = await client.task("given").run({ n: 1 });
  const done = await client.wait(run, { followRetries: true });
  assert.deepEqual(resultOf(done), {
    n: 2,
    task: "namespaces/default/tasks/given",
    handler: "given",
    tags: ["a"],
    labels: { k: "v" },
  });
  assert.equal(done.worker, "me");
  assert.equal(done.taskUid, uid);
  const first = await client.getRun(run);
  assert.equal(stateOf(first), "RETRIED");
  assert.equal(first.error?.name, "TooSoon");
  assert.match(first.error?.stack ?? "", /the root of it/);
  await stop();
});

test("whatever a handler does, its run ends with a report within the bounds", async () => {
  const cases: [string, () => unknown, string][] = [
    ["symbol", () => Symbol("x"), "UnsupportedValue"],
    ["large", () => "x".repeat(2 ** 20), "resultTooLarge"],
    ["text", () => Promise.reject("just text"), "Error"],
    ["nothing", () => Promise.reject(undefined), "Error"],
    ["long", () => Promise.reject(new Error("\u{1F44D}".repeat(10_000))), "Error"],
    ["named", () => Promise.reject(Object.assign(new Error("x"), { name: "Chosen" })), "Chosen"],
    ["crash", () => (undefined as unknown as { x: number }).x, "TypeError"],
  ];
  const worker = server.worker();
  for (const [name, handler] of cases) {
    worker.handler(name, handler);
    await client.createTask(name, { handler: name });
  }
  const stop = server.work(worker);
  for (const [name, , expected] of cases) {
    const done = await client.wait(await client.task(name).run({}), { timeout: 10_000 });
    assert.equal(done.error?.name, expected, name);
  }
  await stop();
});

test("a cancelled run stops by its signal", async () => {
  await client.createTask("stopped", { handler: "stopped" });
  const worker = server.worker();
  worker.handler("stopped", async (run) => {
    run.log.info("begun");
    await once(run.signal, "abort");
    assert.ok(run.cancelled);
    run.signal.throwIfAborted();
  });
  const stop = server.work(worker);
  const run = await client.task("stopped").run({});
  await client.followLogs(run).next();
  assert.equal(stateOf(await client.cancel(run)), "CANCELLING");
  assert.equal(stateOf(await client.wait(run)), "CANCELLED");
  await stop();
});

test("progress is told, the last one always", async () => {
  await client.createTask("going", { handler: "going" });
  const worker = server.worker();
  worker.handler("going", (run) => {
    assert.throws(() => run.progress(2), RangeError);
    for (let part = 0; part <= 10; part++) {
      run.progress(part / 10, `part ${part}`);
    }
  });
  const stop = server.work(worker);
  const done = await client.wait(await client.task("going").run({}));
  assert.equal(done.progress?.ratio, 1);
  assert.equal(done.progress?.message, "part 10");
  await stop();
});

test("a run longer than the lease is kept by renewals", async (t) => {
  const brief = await TestServer.start("--lease", "2s");
  t.after(() => brief.stop());
  const caller = brief.client();
  await caller.createTask("longer", { handler: "longer" });
  const worker = brief.worker();
  worker.handler("longer", () => sleep(3000, "held"));
  const stop = brief.work(worker);
  assert.equal(await caller.runWithResult("longer"), "held");
  await stop();
});

test("a worker that drains finishes what it has, and leaves the rest to others", async () => {
  await client.createTask("drained", { handler: "drained" });
  const go = gate();
  const worker = server.worker({ maxConcurrentRuns: 2 });
  worker.handler("drained", async (run) => {
    run.log.info("begun");
    await go.opened;
    return "by the first";
  });
  const stop = server.work(worker);
  const runs = await client.runMany(Array.from({ length: 5 }, () => ({ task: "drained" })));
  const begun = await client.watchEvents({ filter: "task = drained AND type = run_started", after: 0n });
  await take(begun, 2);
  const stopped = stop();
  go.open();
  await stopped;
  const states = (await Promise.all(runs.map((run) => client.getRun(run)))).map(stateOf);
  assert.equal(states.filter((state) => state === "SUCCEEDED").length, 2);
  assert.equal(states.filter((state) => state === "PENDING").length, 3);
});

test("past its grace a worker stops handlers by their signal", async () => {
  await client.createTask("graceless", { handler: "graceless" });
  const worker = server.worker({ grace: 0 });
  worker.handler("graceless", async (run) => {
    run.log.info("begun");
    await sleep(60_000, undefined, { signal: run.signal });
  });
  const stop = server.work(worker);
  const run = await client.task("graceless").run({});
  await client.followLogs(run).next();
  await stop();
  assert.equal((await client.wait(run)).error?.name, "WorkerStopped");
});

test("a result survives a broken stream, and the run is not done twice", async (t) => {
  const proxy = await Proxy.before(server.address);
  t.after(() => proxy.close());
  await client.createTask("survivor", { handler: "survivor" });
  const go = gate();
  let times = 0;
  const noticed = gate();
  const worker = server.worker({ address: proxy.address, log: { info: () => {}, warn: noticed.open } });
  worker.handler("survivor", async (run) => {
    times += 1;
    run.log.info("begun");
    await go.opened;
    run.log.info("done");
    return { times };
  });
  const stop = server.work(worker);
  const run = await client.task("survivor").run({});
  await client.followLogs(run).next();
  proxy.refusing = true;
  proxy.cut();
  await noticed.opened;
  go.open();
  proxy.refusing = false;
  const done = await client.wait(run, { timeout: 20_000 });
  assert.deepEqual(resultOf(done), { times: 1 });
  assert.deepEqual(
    (await all(client.followLogs(run))).map((entry) => entry.message),
    ["begun", "done"],
  );
  await stop();
});

test("runs and results of megabytes pass, more than a frame may have", async () => {
  await client.createTask("heavy", { handler: "heavy" });
  const worker = server.worker();
  worker.handler("heavy", (run) => run.payload);
  const runs = await client.runMany(
    Array.from({ length: 12 }, (_, n) => ({ task: "heavy", payload: { n, text: "é".repeat(450_000) } })),
  );
  const stop = server.work(worker);
  for (const [n, run] of runs.entries()) {
    const done = await client.wait(run, { timeout: 20_000 });
    assert.equal(stateOf(done), "SUCCEEDED", done.error?.message);
    assert.equal(payloadOf(done)?.["n"], n);
  }
  await stop();
});

test("a worker without handlers, and a second handler of one name, are mistakes", async () => {
  const worker = new Worker();
  await assert.rejects(worker.serve(), RangeError);
  worker.handler("x", () => {});
  assert.throws(() => worker.handler("x", () => {}), RangeError);
});

test("a worker that is refused says so", async () => {
  const worker = server.worker({ workerId: "x".repeat(129) });
  worker.handler("x", () => {});
  await assert.rejects(
    worker.serve(),
    (error: Error) => !(error instanceof Unauthenticated) && /worker_id/.test(error.message),
  );
});
