/**
 * The client of taskwheel, a task scheduler and run queue behind one gRPC API.
 *
 *     const client = new Client({ address: "localhost:7420" });
 *     await client.createTask("send-report", { handler: "send-report", schedules: [cron("0 5 * * *")] });
 *     const run = await client.task("send-report").run({ to: "ann@example.org" });
 *
 *     const worker = new Worker({ address: "localhost:7420" });
 *     worker.handler("send-report", async (run) => { run.log.info("sent"); return { sent: 3 }; });
 *     await worker.run();
 *
 * Messages of the API are those that were generated from the contract; `taskwheel/v1/task_run` and the like have all of
 * them.
 */
export { toJson } from "@bufbuild/protobuf";
export { Client } from "./client.js";
export {
  Aborted,
  AlreadyExists,
  DeadlineExceeded,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  OutOfRange,
  PermissionDenied,
  RequestTooLarge,
  ResourceExhausted,
  RpcError,
  RunCancelled,
  RunFailed,
  RunNotDone,
  TaskwheelError,
  Unauthenticated,
  Unavailable,
  Unimplemented,
  UnsupportedValue,
  WorkerStopped,
  type Reason,
} from "./errors.js";
export type { ClientOptions, FollowLogsOptions, ListOptions, ListRunsOptions } from "./options.js";
export { at, cron, every, misfire, retry } from "./schedules.js";
export type { CronOptions, RetryOptions, ScheduleBounds } from "./schedules.js";
export type { OverlapPolicy, RunOptions, RunRequest, TaskFields } from "./requests.js";
export type { EtagOption, TaskHandle } from "./task.js";
export type { CallLimits, ConnectionOptions, Metadata, Services } from "./transport.js";
export { dateOf, payloadOf, resultOf, stateOf, type Instant } from "./values.js";
export { Worker, type Handler, type WorkerOptions } from "./worker/worker.js";
export type { Run, RunLog } from "./worker/run.js";
export type { Event } from "./gen/taskwheel/v1/event_pb.js";
export { LogEntry_Level, type LogEntry } from "./gen/taskwheel/v1/log_entry_pb.js";
export type { RetryPolicy } from "./gen/taskwheel/v1/retry_policy_pb.js";
export type { MisfirePolicy, Schedule } from "./gen/taskwheel/v1/schedule_pb.js";
export { Task_State, type Task } from "./gen/taskwheel/v1/task_pb.js";
export { TaskRun_State, TaskRun_Trigger, type TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
