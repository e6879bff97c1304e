/** The samples of Fliplet's document, as they stand there, against a live server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RunFailed } from "taskwheel";
import { fliplet } from "taskwheel/compat";
import { TestServer } from "./server.js";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

test("Fliplet: an app's tasks, from a screen to its logs", async (t) => {
  const server = await TestServer.start();
  t.after(() => server.stop());
  const client = server.client();
  const worker = server.worker();
  const screens: unknown[] = [];
  const console = { log: (...said: unknown[]) => screens.push(said) };
  const Fliplet = { ...fliplet(client), Page: fliplet(client).page(worker, 456) };

  // Add this code to the screen JavaScript code
  // in the developer options of Fliplet Studio
  Fliplet.Page.onRemoteExecution(function (payload) {
    console.log("App task sent this payload", payload);

    // This code will run when the screen is triggered by an app task.
    // You can return a promise if the result to be returned is async.
    return Promise.resolve({ a: 1, b: 2 });
  });

  fliplet(client)
    .page(worker, 7)
    .onRemoteExecution((payload) => ({ isRegistered: payload["Email"] === "john@example.org" }));
  fliplet(client)
    .page(worker, 8)
    .onRemoteExecution(() => {
      throw new Error("no such page");
    });
  const stop = server.work(worker);

  await Fliplet.App.Tasks.create({
    name: "send-monday-weekly-reminder",
    frequency: "0 8 * * 1",
    active: true,
    pageId: 123,
  }).then(function (task) {
    // Task has been created and scheduled to run every Monday morning at 8am
    const { id, name, pageId, frequency, active, lastRunAt, nextRunAt } = task;
    assert.match(id, UID);
    assert.deepEqual(
      [name, pageId, frequency, active, lastRunAt],
      ["send-monday-weekly-reminder", 123, "0 8 * * 1", true, null],
    );
    assert.equal(new Date(nextRunAt!).getUTCDay(), 1);
    assert.match(nextRunAt!, /T08:00:00\.000Z$/);
  });

  // Create a task that is manually run by you
  await Fliplet.App.Tasks.create({
    name: "confirm-booking",
    pageId: 456,
  }).then(function (task) {
    // On demand task has been created
    assert.deepEqual([task.frequency, task.nextRunAt], [null, null]);
  });

  // Run a task in asynchronous mode
  await Fliplet.App.Tasks.run("confirm-booking");

  // Run a task in asynchronous mode with an
  // input payload to be sent to the screen.
  await Fliplet.App.Tasks.run("confirm-booking", {
    FirstName: "Nick",
    Date: "2021-06-15",
  }).then(function (nothing: unknown) {
    // The task has been queued for processing.
    // No result is given back.
    assert.equal(nothing, undefined);
  });

  await client.createTask("email-is-registered", { handler: "page-7" });

  // Run a task synchronously with an input payload
  // and retrieve back the result
  await Fliplet.App.Tasks.runWithResult("email-is-registered", {
    Email: "john@example.org",
  }).then(function (result) {
    // This example assumes your result returns a "isRegistered" property
    assert.deepEqual(result, { isRegistered: true });
  });

  assert.deepEqual(await Fliplet.App.Tasks.runWithResult("confirm-booking"), { a: 1, b: 2 });
  assert.deepEqual(screens[1], ["App task sent this payload", { FirstName: "Nick", Date: "2021-06-15" }]);
  const { id } = await Fliplet.App.Tasks.create({ name: "broken", pageId: 8 });
  await assert.rejects(Fliplet.App.Tasks.runWithResult("broken"), RunFailed);

  await Fliplet.App.Tasks.get().then(function (tasks) {
    tasks.forEach(function (task) {
      assert.deepEqual(Object.keys(task), ["id", "name", "pageId", "frequency", "active", "lastRunAt", "nextRunAt"]);
    });
    assert.match(tasks.find((task) => task.name === "confirm-booking")!.lastRunAt!, INSTANT);
  });

  // Fetch the last 50 completed and failed task results
  await Fliplet.App.Tasks.getLogs().then(function (response) {
    assert.ok(response.count >= 5);
    assert.equal(response.count, response.logs.length);
  });

  // Fetch the last 10 failed task logs for just one task, given its ID
  await Fliplet.App.Tasks.getLogs({
    id,
    limit: 10,
    where: { type: "app.task.failed" },
  }).then(function (response) {
    assert.deepEqual(
      response.logs.map(({ taskName, type, error }) => [taskName, type, error?.message]),
      [["broken", "app.task.failed", "no such page"]],
    );
  });
  assert.equal((await Fliplet.App.Tasks.getLogs({ where: { type: "app.task.completed" }, limit: 2 })).count, 2);

  await Fliplet.App.Tasks.update("confirm-booking", {
    pageId: 457,
  }).then(function (task) {
    // Task has been updated
    assert.equal(task.pageId, 457);
  });

  // Temporarily deactivate a scheduled task
  await Fliplet.App.Tasks.update("send-monday-weekly-reminder", {
    active: false,
  }).then(function (task) {
    // Task has been deactivated
    assert.deepEqual([task.active, task.nextRunAt, task.frequency], [false, null, "0 8 * * 1"]);
  });
  assert.ok((await Fliplet.App.Tasks.update("send-monday-weekly-reminder", { active: true })).nextRunAt);
  assert.equal((await Fliplet.App.Tasks.update(id, { name: "renamed", frequency: "0 5 * * *" })).name, "renamed");

  await Fliplet.App.Tasks.remove("confirm-booking").then(function () {
    // Task has been removed
  });
  assert.ok(!(await Fliplet.App.Tasks.get()).some((task) => task.name === "confirm-booking"));
  await stop();
});
