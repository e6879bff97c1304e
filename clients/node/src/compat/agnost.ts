/** The scheduled tasks of Agnost's client and server libraries, and of Altogic's client library. */
import type { Client } from "../client.js";
import { InvalidArgument, NotFound, RpcError } from "../errors.js";
import type { TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import { instant, word } from "./words.js";

const STATUSES = {
  PENDING: "pending",
  RUNNING: "processing",
  CANCELLING: "processing",
  SUCCEEDED: "completed",
  FAILED: "failed",
  CANCELLED: "canceled",
  SKIPPED: "skipped",
} as const;

/** Where a run stands, and since when. */
export interface Course {
  triggeredAt: string;
  status: (typeof STATUSES)[keyof typeof STATUSES];
  /** Missing until it has started. */
  startedAt?: string;
  /** Missing until it has ended. */
  completedAt?: string;
}

/** A run, as the client libraries tell it. */
export interface TaskInfo extends Course {
  taskId: string;
  scheduledTaskId: string;
  scheduledTaskName: string;
}

/** A run, as the server library tells it. */
export interface Tracking extends Course {
  trackingId: string;
  cronJobId: string;
  cronJobName: string;
}

/** What went wrong: a reason of taskwheel, or else a gRPC code, and the field at fault if there is one. */
export interface CallError {
  code: string;
  message: string;
  field?: string;
}

/** An answer of the client libraries, which throw nothing that the server says. */
export interface Answer {
  info: TaskInfo | null;
  errors: CallError[] | null;
}

/** Runs scheduled tasks ahead of their schedule, and tells how they fared. */
export interface TaskManager {
  /** The task of this name, as the server library has it. */
  (name: string): ScheduledTask;
  /** Run a task now, by its name or id. */
  runOnce(taskNameOrId: string): Promise<Answer>;
  /**
   * The latest status of what was run, by its taskId or, for the latest run, by the scheduledTaskId. `info` is null,
   * without errors, for what was triggered more than seven days ago or never.
   */
  getTaskStatus(taskId: string): Promise<Answer>;
}

/** One task, as the server library has it. */
export interface ScheduledTask {
  /** Run it now. */
  run(): Promise<Tracking>;
  /** The latest status of one of its runs; null for one of more than seven days ago, or of another task. */
  getTaskStatus(trackingId: string): Promise<Tracking | null>;
}

/** Agnost's libraries, or Altogic's: `task.runOnce(…)` of the client's, `task(name).run()` of the server's. */
export function agnost(client: Client): { task: TaskManager } {
  const scheduled = (name: string): ScheduledTask => {
    const task = client.task(name);
    return {
      run: async () => tracking(await task.run()),
      getTaskStatus: async (trackingId) => latest(client, await task.getTaskStatus(trackingId), tracking),
    };
  };
  const manager: Pick<TaskManager, "runOnce" | "getTaskStatus"> = {
    runOnce: (taskNameOrId) => answer(async () => info(await client.task(taskNameOrId).run())),
    getTaskStatus: (taskId) => answer(async () => latest(client, await client.getTaskStatus(taskId), info)),
  };
  return { task: Object.assign(scheduled, manager) };
}

async function answer(call: () => Promise<TaskInfo | null>): Promise<Answer> {
  try {
    return { info: await call(), errors: null };
  } catch (error) {
    if (error instanceof RpcError) {
      return { info: null, errors: callErrors(error) };
    }
    throw error;
  }
}

/** What there is to tell of the last attempt; the caller knows the first. Null if that is no longer kept. */
async function latest<T>(
  client: Client,
  run: TaskRun | null,
  tell: (last: TaskRun, first: TaskRun) => T,
): Promise<T | null> {
  if (!run || run.attempt === 1) {
    return run && tell(run, run);
  }
  try {
    return tell(run, await client.getRun(run.rootRun));
  } catch (error) {
    if (error instanceof NotFound) {
      return null;
    }
    throw error;
  }
}

function callErrors(error: RpcError): CallError[] {
  const code = error.reason || error.code;
  const fields = error instanceof InvalidArgument ? Object.entries(error.fields) : [];
  return fields.length
    ? fields.map(([field, message]) => ({ code, message, field }))
    : [{ code, message: error.description }];
}

function info(last: TaskRun, first = last): TaskInfo {
  return { taskId: first.uid, scheduledTaskId: last.taskUid, scheduledTaskName: last.taskId, ...course(last, first) };
}

function tracking(last: TaskRun, first = last): Tracking {
  return { trackingId: first.uid, cronJobId: last.taskUid, cronJobName: last.taskId, ...course(last, first) };
}

function course(last: TaskRun, first: TaskRun): Course {
  const startedAt = instant(last.startTime);
  const completedAt = instant(last.endTime);
  return {
    triggeredAt: instant(first.createTime)!,
    status: word(STATUSES, last),
    ...(startedAt && { startedAt }),
    ...(completedAt && { completedAt }),
  };
}
