import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  Client,
  DeadlineExceeded,
  PermissionDenied,
  ResourceExhausted,
  RpcError,
  stateOf,
  Unavailable,
  Worker,
  type ClientOptions,
} from "taskwheel";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { AdminService } from "../src/gen/taskwheel/v1/admin_service_pb.js";
import { EventService } from "../src/gen/taskwheel/v1/event_service_pb.js";
import { TaskRunService } from "../src/gen/taskwheel/v1/task_run_service_pb.js";
import { TaskRunSchema, type TaskRun } from "../src/gen/taskwheel/v1/task_run_pb.js";
import { TaskService } from "../src/gen/taskwheel/v1/task_service_pb.js";
import { WorkerService } from "../src/gen/taskwheel/v1/worker_service_pb.js";
import { pretend, refusal } from "./pretended.js";
import { all, gate, Proxy, python, take, TestServer } from "./server.js";

test("streams and waits go on where they broke, through cuts and a crash of the server", async (t) => {
  const server = await TestServer.start();
  t.after(() => server.stop());
  const proxy = await Proxy.before(server.address);
  t.after(() => proxy.close());
  const client = server.client({ address: proxy.address });
  await client.createTask("talking", { handler: "talking" });
  const steps = [gate(), gate(), gate()];
  const worker = server.worker();
  worker.handler("talking", async (run) => {
    for (const [n, step] of steps.entries()) {
      await step.opened;
      run.log.info(`line ${n}`);
    }
  });
  const stop = server.work(worker);
  const events = await client.watchEvents({ filter: "task = talking" });
  const run = await client.task("talking").run({});
  const lines = client.followLogs(run);
  const line = async () => (await lines.next()).value?.message;
  const done = client.wait(run);
  steps[0]!.open();
  assert.equal((await events.next()).value?.type, "run_pending");
  assert.equal(await line(), "line 0");
  proxy.cut();
  steps[1]!.open();
  assert.equal((await events.next()).value?.type, "run_started");
  // What a worker writes is not acknowledged: a crash may lose what nobody has read.
  assert.equal(await line(), "line 1");
  await server.halt("SIGKILL");
  await server.resume();
  steps[2]!.open();
  assert.equal(await line(), "line 2");
  assert.equal(await line(), undefined);
  assert.equal(stateOf(await done), "SUCCEEDED");
  assert.equal((await events.next()).value?.type, "run_succeeded");
  await stop();
});

test("a client speaks TLS to a certificate of the server's own authority, and shows one of its own", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "taskwheel-tls-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = (name: string) => path.join(folder, name);
  const program = [
    "import sys, trustme",
    "ca = trustme.CA()",
    "ca.cert_pem.write_to_path('ca.pem')",
    "for name in ('wheel.internal', 'client'):",
    "    issued = ca.issue_cert(name)",
    "    issued.private_key_and_cert_chain_pem.write_to_path(name + '.pem')",
  ];
  execFileSync(python("python"), ["-c", program.join("\n")], { cwd: folder });
  const own = file("wheel.internal.pem");
  const server = await TestServer.start("--tls-cert", own, "--tls-key", own, "--tls-client-ca", file("ca.pem"));
  t.after(() => server.stop());
  const ca = await readFile(file("ca.pem"));
  const cert = await readFile(file("client.pem"));
  const servername = "wheel.internal";
  const client = server.client({ tls: { ca, cert, key: cert, servername } });
  assert.equal((await client.serverInfo()).database, "sqlite");
  const worker = server.worker({ tls: { ca, cert, key: cert, servername } });
  worker.handler("x", () => "secret");
  await client.createTask("x", { handler: "x" });
  const stop = server.work(worker);
  assert.equal(await client.runWithResult("x"), "secret");
  await stop();
  for (const tls of [true, { ca, cert, key: cert }, { ca, servername }, false]) {
    const stranger = server.client({ tls });
    await assert.rejects(stranger.serverInfo(), Unavailable);
  }
});

test("what goes with each call is asked anew", async (t) => {
  const seen: (string | null)[] = [];
  const client = await pretendTo(
    t,
    (router) =>
      router.service(AdminService, {
        getServerInfo: (_, { requestHeader }) => {
          seen.push(requestHeader.get("authorization"));
          return {};
        },
      }),
    { metadata: async () => ({ authorization: `Bearer ${seen.length}` }) },
  );
  await client.serverInfo();
  await client.serverInfo();
  assert.deepEqual(seen, ["Bearer 0", "Bearer 1"]);
});

test("what is safe to repeat is repeated with the same request id, and nothing else", async (t) => {
  const calls: string[] = [];
  const refuse = (name: string) => {
    calls.push(name);
    throw refusal(Code.Unavailable, "SHUTTING_DOWN");
  };
  const client = await pretendTo(t, (router) =>
    router.service(TaskService, {
      runTask: (request) => refuse(request.requestId),
      renameTask: () => refuse("rename"),
      deleteTask: (request) => refuse(`delete ${request.allowMissing}`),
      updateTask: (request) => refuse(`update ${request.task?.etag}`),
      createTask: (request) => {
        calls.push(request.requestId);
        throw refusal(Code.FailedPrecondition, "NEW_REASON", { a: "b" });
      },
    }),
  );
  const repeated = async (call: Promise<unknown>, expected: number): Promise<RpcError> => {
    calls.length = 0;
    const error = await call.then(
      () => assert.fail(),
      (thrown: unknown) => thrown as RpcError,
    );
    assert.equal(calls.length, expected);
    assert.equal(new Set(calls).size, 1);
    return error;
  };
  assert.ok((await repeated(client.task("x").run({}), 4)) instanceof Unavailable);
  await repeated(client.task("x").rename("y"), 1);
  await repeated(client.task("x").delete(), 1);
  await repeated(client.task("x").delete({ allowMissing: true }), 4);
  await repeated(client.task("x").update({ priority: 1 }, { etag: "e" }), 1);
  await repeated(client.task("x").update({ priority: 1 }), 4);
  const refused = await repeated(client.createTask("x", { handler: "x" }), 1);
  assert.equal(refused.reason, "NEW_REASON");
  assert.deepEqual(refused.metadata, { a: "b" });
});

test("states, events and fields of a newer server are read, not refused", async (t) => {
  const client = await pretendTo(t, (router) =>
    router
      .service(TaskRunService, { getTaskRun: () => ({ name: "n", state: 77 as never, trigger: 99 as never }) })
      .service(EventService, {
        watchEvents: async function* () {
          yield { sequence: 1n };
          yield { sequence: 2n, events: [{ sequence: 2n, type: "run_teleported" }] };
        },
      }),
  );
  assert.equal(stateOf(await client.getRun("n")), "77");
  const [event] = await take(await client.watchEvents(), 1);
  assert.equal(event?.type, "run_teleported");
});

test("a server that is silent is not waited for longer than the deadline", async (t) => {
  const never = () => new Promise<never>(() => undefined);
  const client = await pretendTo(
    t,
    (router) =>
      router.service(AdminService, { getServerInfo: never }).service(EventService, {
        watchEvents: async function* () {
          await never();
          yield {};
        },
      }),
    { timeout: 100 },
  );
  await assert.rejects(client.serverInfo(), DeadlineExceeded);
  await assert.rejects(client.watchEvents(), DeadlineExceeded);
  await assert.rejects(
    client.call((api, options) => api.admin.getServerInfo({}, options), { timeout: 1 }),
    DeadlineExceeded,
  );
});

test("a subscriber that was too slow goes on after what it has, and other bounds are told", async (t) => {
  const asked: (bigint | undefined)[] = [];
  const client = await pretendTo(t, (router) =>
    router.service(EventService, {
      watchEvents: async function* ({ afterSequence, filter }) {
        asked.push(afterSequence);
        yield { sequence: 5n };
        if (filter) {
          throw refusal(Code.ResourceExhausted, "OTHER");
        }
        if (asked.length === 1) {
          yield { sequence: 6n, events: [{ sequence: 6n }] };
          throw refusal(Code.ResourceExhausted, "SUBSCRIBER_TOO_SLOW", { after_sequence: "6" });
        }
        yield { sequence: 7n, events: [{ sequence: 7n }] };
      },
    }),
  );
  const events = await take(await client.watchEvents(), 2);
  assert.deepEqual(
    events.map((event) => event.sequence),
    [6n, 7n],
  );
  assert.deepEqual(asked, [undefined, 6n]);
  await assert.rejects(all(await client.watchEvents({ filter: "x" })), ResourceExhausted);
});

test("runs of concurrent callers go together, each with an answer of its own", async (t) => {
  const batches: number[] = [];
  let alone = 0;
  const run = (name: string): TaskRun => create(TaskRunSchema, { name });
  const client = await pretendTo(t, (router) =>
    router.service(TaskService, {
      runTask: async ({ name, input }) => {
        alone += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (name === "bad") {
          throw refusal(Code.NotFound, "TASK_NOT_FOUND");
        }
        return { ...run(name), input };
      },
      batchRunTasks: ({ requests }) => {
        batches.push(requests.length);
        if (requests.some(({ name }) => name === "bad")) {
          throw refusal(Code.NotFound, "TASK_NOT_FOUND");
        }
        return { taskRuns: requests.map(({ name }) => run(name)) };
      },
    }),
  );
  const names = Array.from({ length: 20 }, (_, n) => `t${n}`);
  const runs = await Promise.all(names.map((name, n) => client.task(name).run({ n })));
  assert.deepEqual(
    runs.map((each) => each.name),
    names,
  );
  assert.deepEqual(
    runs.map((each) => each.input.value),
    names.map((_, n) => ({ n })),
  );
  assert.deepEqual([alone, batches], [1, [19]]);
  await Promise.all(names.slice(0, 5).map((name) => client.task(name).run({})));
  assert.deepEqual([alone, batches], [2, [19, 4]]);

  const mixed = await Promise.allSettled(["a", "b", "bad", "c"].map((name) => client.task(name).run({})));
  assert.deepEqual(
    mixed.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );

  const giveUp = new AbortController();
  const first = client.task("first").run({});
  const second = client.task("second").run({}, { signal: giveUp.signal });
  const third = client.task("third").run({}, { timeout: 1 });
  const fourth = client.task("fourth").run({});
  giveUp.abort(new Error("enough"));
  const ends = await Promise.allSettled([first, second, third, fourth]);
  assert.deepEqual(
    ends.map(({ status }) => status),
    ["fulfilled", "rejected", "rejected", "fulfilled"],
  );
  assert.ok((ends[2] as PromiseRejectedResult).reason instanceof DeadlineExceeded);
  assert.equal(batches.at(-1), 1);
});

test("a caller who gives up while a call waits for its next try meets the reason of the signal", async (t) => {
  const giveUp = new AbortController();
  const client = await pretendTo(t, (router) =>
    router.service(AdminService, {
      getServerInfo: () => {
        setTimeout(() => giveUp.abort(new Error("enough")), 100);
        const refused = refusal(Code.Unavailable, "SHUTTING_DOWN");
        refused.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: 5n } } });
        throw refused;
      },
    }),
  );
  await assert.rejects(client.serverInfo({ signal: giveUp.signal }), { message: "enough" });
});

test("a batch has as long as the most patient of its callers", async (t) => {
  const hastyGaveUp = gate();
  const client = await pretendTo(t, (router) =>
    router.service(TaskService, {
      runTask: async ({ name }) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { name };
      },
      batchRunTasks: async ({ requests }) => {
        await hastyGaveUp.opened;
        return { taskRuns: requests.map(({ name }) => ({ name })) };
      },
    }),
  );
  const first = client.task("first").run({});
  const patient = client.task("patient").run({});
  await assert.rejects(client.task("hasty").run({}, { timeout: 500 }), DeadlineExceeded);
  hastyGaveUp.open();
  assert.deepEqual([(await first).name, (await patient).name], ["first", "patient"]);
});

test("a line that is refused when the worker ends does not cost the results beside it", async (t) => {
  const completed: string[] = [];
  const server = await pretend((router) =>
    router.service(WorkerService, {
      async *work() {
        yield { welcome: { leaseDuration: { seconds: 30n } } };
        yield { assignments: ["a", "b"].map((name) => ({ run: { name, handler: "h", attempt: 1 }, leaseToken: name })) };
        throw refusal(Code.PermissionDenied, "GONE");
      },
      appendLogs: () => {
        throw refusal(Code.Aborted, "LEASE_LOST");
      },
      completeTaskRuns: ({ results }) => {
        completed.push(...results.map(({ run }) => run));
        return {};
      },
    }),
  );
  t.after(() => server.close());
  const worker = new Worker({ address: server.address, log: { info: () => undefined, warn: () => undefined } });
  worker.handler("h", async (run) => {
    await new Promise((resolve) => run.signal.addEventListener("abort", resolve));
    run.log.info("stopped");
  });
  await assert.rejects(worker.serve(), PermissionDenied);
  assert.deepEqual(completed.sort(), ["a", "b"]);
});

test("an empty piece of a log is none", async (t) => {
  const client = await pretendTo(t, (router) =>
    router.service(TaskRunService, {
      async *streamTaskRunLogs() {
        yield {};
      },
    }),
  );
  assert.deepEqual(await all(client.followLogs("n")), []);
});

/** A client of a server that answers these services. */
async function pretendTo(
  t: TestContext,
  routes: Parameters<typeof pretend>[0],
  options: ClientOptions = {},
): Promise<Client> {
  const server = await pretend(routes);
  const client = new Client({ address: server.address, ...options });
  t.after(async () => {
    await client.close();
    server.close();
  });
  return client;
}
