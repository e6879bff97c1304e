/** The samples of the documents of Agnost, Altogic and Extra Horizon, as they stand there, against a live server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Client, cron, FailedPrecondition, retry, stateOf } from "taskwheel";
import { agnost as agnostOf, extraHorizon } from "taskwheel/compat";
import { TaskRunService } from "../src/gen/taskwheel/v1/task_run_service_pb.js";
import { pretend, refusal } from "./pretended.js";
import { gate, take, TestServer } from "./server.js";

let server: TestServer;
let client: Client;

before(async () => {
  server = await TestServer.start();
  client = server.client();
});

after(async () => server.stop());

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Check an answer field for field: the same fields in the same order, a text that is an instant or an id where the
 * document has one, and else the same. */
function like(answer: object, sample: object): void {
  assert.deepEqual(Object.keys(answer), Object.keys(sample));
  for (const [name, expected] of Object.entries(sample) as [keyof typeof answer, unknown][]) {
    const given: unknown = answer[name];
    if (typeof expected === "string" && INSTANT.test(expected)) {
      assert.match(given as string, INSTANT);
    } else if (typeof expected === "string" && /^[0-9a-f]{24}$/.test(expected)) {
      assert.match(given as string, UID);
    } else {
      assert.deepEqual(given, expected, name);
    }
  }
}

/** Create a scheduled task, and answer what lets its handler go on. */
async function billing(taskId: string): Promise<{ open: () => void; stop: () => Promise<void> }> {
  const go = gate();
  await client.createTask(taskId, { handler: taskId, schedules: [cron("0 5 * * *")] });
  const worker = server.worker();
  worker.handler(taskId, () => go.opened);
  return { open: go.open, stop: server.work(worker) };
}

const PENDING = {
  taskId: "6237b225b9a84d607cd79044",
  scheduledTaskId: "6237b1f17c2a9625f0b2119e",
  scheduledTaskName: "billOnDemand",
  triggeredAt: "2022-03-20T23:00:53.966Z",
  status: "pending",
};
const COMPLETED = {
  ...PENDING,
  status: "completed",
  startedAt: "2022-03-20T23:00:54.009Z",
  completedAt: "2022-03-20T23:00:54.036Z",
};

test("Agnost's and Altogic's client: runOnce and getTaskStatus", async () => {
  const agnost = agnostOf(client);
  const altogic = agnostOf(client);
  const work = await billing("billOnDemand");
  const next = (await client.task("billOnDemand").get()).nextRunTime;

  let taskName = "billOnDemand";

  // Manually run a task with the name of `billonDemand`
  const { info, errors } = await agnost.task.runOnce(taskName);

  assert.equal(errors, null);
  like(info!, PENDING);
  assert.deepEqual((await client.task("billOnDemand").get()).nextRunTime, next);
  assert.equal((await agnost.task.runOnce(info!.scheduledTaskId)).errors, null);
  work.open();
  await client.wait(info!.taskId);
  {
    let taskId = info!.taskId;

    // Get the status of the manually triggered task whether
    // it has been completed processing or not
    const { info: status, errors } = await altogic.task.getTaskStatus(taskId);

    assert.equal(errors, null);
    like(status!, COMPLETED);
    assert.deepEqual({ ...status, ...info }, { ...status, status: "pending" });
    // The sample passes the id of the scheduled task: its latest run.
    assert.equal((await altogic.task.getTaskStatus(info!.scheduledTaskId)).info?.scheduledTaskName, "billOnDemand");
  }
  await work.stop();
});

test("Agnost's and Altogic's client: errors are told and not thrown; what is too old or unknown is null", async (t) => {
  const agnost = agnostOf(client);
  const { info, errors } = await agnost.task.runOnce("billondemand");
  assert.equal(info, null);
  assert.equal(errors?.length, 1);
  assert.equal(errors?.[0]?.code, "TASK_NOT_FOUND");
  assert.match(errors?.[0]?.message ?? "", /billOnDemand/);
  assert.equal((await agnost.task.runOnce("x".repeat(301))).errors?.[0]?.field, "name");
  const unknown = await agnost.task.getTaskStatus("6237b1f1-7c2a-7625-80b2-119e6237b1f1");
  assert.deepEqual(unknown, { info: null, errors: null });

  const old = await pretend((router) =>
    router.service(TaskRunService, {
      getTaskRun: () => {
        throw refusal(Code.NotFound, "RUN_EXPIRED");
      },
    }),
  );
  t.after(old.close);
  await using later = new Client({ address: old.address });
  const expired = await agnostOf(later).task.getTaskStatus("6237b1f1-7c2a-7625-80b2-119e6237b1f1");
  assert.deepEqual(expired, { info: null, errors: null });
  assert.equal(await agnostOf(later).task("x").getTaskStatus("6237b1f1-7c2a-7625-80b2-119e6237b1f1"), null);
});

test("a status follows retries, under the id and the time of the first attempt", async () => {
  await client.createTask("billTwice", { handler: "billTwice", retryPolicy: retry(2, { delays: [20] }) });
  const worker = server.worker();
  worker.handler("billTwice", (run) => {
    if (run.attempt === 1) {
      throw new Error("not yet");
    }
  });
  const stop = server.work(worker);
  const { info } = await agnostOf(client).task.runOnce("billTwice");
  await client.wait(info!.taskId, { followRetries: true });
  const status = await agnostOf(client).task.getTaskStatus(info!.taskId);
  assert.equal(status.info?.status, "completed");
  assert.equal(status.info?.taskId, info?.taskId);
  assert.equal(status.info?.triggeredAt, info?.triggeredAt);
  await stop();
});

test("Agnost's server: task(name).run and getTaskStatus", async () => {
  const agnost = agnostOf(client);
  const work = await billing("billByServer");
  await client.createTask("other", { handler: "other" });
  const flat = ({ taskId, scheduledTaskId, scheduledTaskName, ...course }: typeof PENDING) => {
    return { trackingId: taskId, cronJobId: scheduledTaskId, cronJobName: "billByServer", ...course };
  };
  let trackingId: string;
  {
    const taskName = "billByServer";

    // Manually run a task with the name of `billonDemand`
    const result = await agnost.task(taskName).run();

    like(result, flat(PENDING));
    trackingId = result.trackingId;
  }
  await take(await client.watchEvents({ filter: "task = billByServer AND type = run_started", after: 0n }), 1);
  assert.equal((await agnost.task("billByServer").getTaskStatus(trackingId))?.status, "processing");
  work.open();
  await client.wait(trackingId);
  {
    const taskName = "billByServer";

    // Get the status of the manually triggered task whether
    // it has been completed, processing or not
    const result = await agnost.task(taskName).getTaskStatus(trackingId);

    like(result!, flat(COMPLETED));
  }
  assert.equal(await agnost.task("other").getTaskStatus(trackingId), null);
  await work.stop();
});

test("Extra Horizon: tasks are created, found and canceled", async () => {
  const exh = extraHorizon(client);
  await client.createTask("yourFunctionName", { handler: "nobody-has-it" });
  await client.createTask("testFunction", { handler: "nobody-has-it" });
  const yourData = { my_key: "My Value" };

  await exh.tasks.create({
    functionName: "yourFunctionName",
    data: { ...yourData },
    priority: 1,
    startTimestamp: new Date(Date.now()),
    tags: ["mytag"],
  });

  const [mine] = await exh.tasks.find({ filter: 'tags:"mytag"' });
  assert.deepEqual([mine?.functionName, mine?.data], ["yourFunctionName", yourData]);

  const sample = {
    id: "757f191a810c19729de860ae",
    functionName: "testFunction",
    status: "new",
    statusChangedTimestamp: "2021-09-29T15:17:07.051Z",
    data: { my_key: "My Value" },
    tags: ["my_tag"],
    startTimestamp: "2021-09-29T15:17:07.051Z",
    priority: 1,
    // Without authentication nobody but the application `anonymous` is known, and there is no createdByUserId.
    createdByApplicationId: "anonymous",
    creationTimestamp: "2021-09-29T15:17:07.051Z",
    updateTimestamp: "2021-09-29T15:17:07.051Z",
  };
  const startTimestamp = new Date("2021-09-29T15:17:07.051Z");
  const { functionName, data, priority, tags } = sample;
  const created = await exh.tasks.create({ functionName, data, priority, tags, startTimestamp });
  like(created, sample);
  assert.equal(created.startTimestamp, "2021-09-29T15:17:07.051Z");

  const found = await exh.tasks.find();

  like(found[0]!, sample);
  assert.equal(found[1]?.functionName, "yourFunctionName");
  assert.equal((await exh.tasks.find({ limit: 1 })).length, 1);
  const canceled = await exh.tasks.cancel(created.id);
  assert.equal(canceled.status, "canceled");
  assert.ok(canceled.statusChangedTimestamp >= created.statusChangedTimestamp);
});

test("Extra Horizon: what is in progress cannot be halted; a retried task and its retry name each other", async () => {
  const exh = extraHorizon(client);
  await client.createTask("retryFunction", { handler: "retryFunction", retryPolicy: retry(2, { delays: [0] }) });
  const go = gate();
  const worker = server.worker();
  worker.handler("retryFunction", async (run) => {
    if (run.attempt === 2) {
      await go.opened;
    }
    throw new TypeError("Cannot read property 'x' of undefined");
  });
  const stop = server.work(worker);
  const original = await exh.tasks.create({ functionName: "retryFunction" });
  await client.wait(original.id);
  const events = await client.watchEvents({ filter: "task = retryFunction AND type = run_started", after: 0n });
  await take(events, 2);
  const [second, first] = await exh.tasks.find({ filter: "task = retryFunction" });
  assert.deepEqual([first?.status, second?.status], ["retried", "inProgress"]);
  assert.equal(first?.retriedByTaskId, second?.id);
  assert.deepEqual(second?.retryForTaskIds, [first?.id]);
  await assert.rejects(exh.tasks.cancel(second!.id), FailedPrecondition);
  go.open();
  const failed = await client.wait(second!.id);
  assert.equal(stateOf(failed), "FAILED");
  const [last] = await exh.tasks.find({ filter: "task = retryFunction", limit: 1 });
  assert.equal(last?.status, "failed");
  assert.deepEqual(last?.error, {
    type: "TypeError",
    name: "TypeError",
    message: "Cannot read property 'x' of undefined",
  });
  await stop();
});
