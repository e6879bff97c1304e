/**
 * The words of other systems, for programs that were written for them: each answers the very shape that those know.
 *
 *     import { agnost, extraHorizon, fliplet } from "taskwheel/compat";
 *
 *     const { task } = agnost(client);               // Altogic's client library, and both of Agnost's
 *     await task.runOnce("billOnDemand");            // { info: { taskId: …, status: "pending" }, errors: null }
 *     await task("billOnDemand").run();              // { trackingId: …, cronJobName: "billOnDemand", … }
 *
 *     await extraHorizon(client).tasks.create({ functionName: "testFunction", data: { my_key: "My Value" } });
 *     await fliplet(client).App.Tasks.runWithResult("email-is-registered", { Email: "john@example.org" });
 *
 * Instants are text, in UTC and to the millisecond, as in "2022-03-20T23:00:53.966Z". Unless it is told otherwise, a
 * function throws what the client throws.
 */
export { agnost } from "./agnost.js";
export type { Answer, CallError, Course, ScheduledTask, TaskInfo, TaskManager, Tracking } from "./agnost.js";
export { extraHorizon } from "./extra-horizon.js";
export type { Plan, PlannedTask, Tasks } from "./extra-horizon.js";
export { fliplet } from "./fliplet.js";
export type { AppTask, AppTaskLog, AppTasks, Changes, LogQuery, LogType, Page } from "./fliplet.js";
