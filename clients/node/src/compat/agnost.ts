/** The scheduled tasks of Agnost's client and server libraries, and of Altogic's client library. */
import type { Client } from "../client.js";
import { InvalidArgument, RpcError } from "../errors.js";
import type { TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import { instant, lastPart, word } from "./words.js";

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
      getTaskStatus: async (trackingId) => {
        const run = await task.getTaskStatus(trackingId);
        return run && tracking(run);
      },
    };
  };
  const manager: Pick<TaskManager, "runOnce" | "getTaskStatus"> = {
    runOnce: (taskNameOrId) => answer(client.task(taskNameOrId).run()),
    getTaskStatus: (taskId) => answer(client.getTaskStatus(taskId)),
  };
  return { task: Object.assign(scheduled, manager) };
}

async function answer(call: Promise<TaskRun | null>): Promise<Answer> {
  try {
    const run = await call;
    return { info: run && info(run), errors: null };
  } catch (error) {
    if (error instanceof RpcError) {
      return { info: null, errors: callErrors(error) };
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

function info(run: TaskRun): TaskInfo {
  return { taskId: first(run), scheduledTaskId: run.taskUid, scheduledTaskName: run.taskId, ...course(run) };
}

function tracking(run: TaskRun): Tracking {
  return { trackingId: first(run), cronJobId: run.taskUid, cronJobName: run.taskId, ...course(run) };
}

/** The id by which the caller knows the run: that of the first attempt, also of a later one. */
function first(run: TaskRun): string {
  return lastPart(run.rootRun || run.name);
}

function course(run: TaskRun): Course {
  const startedAt = instant(run.startTime);
  const completedAt = instant(run.endTime);
  return {
    triggeredAt: triggeredAt(run),
    status: word(STATUSES, run),
    ...(startedAt && { startedAt }),
    ...(completedAt && { completedAt }),
  };
}

/** When the first attempt was made. Of a later one its uid tells, which begins with the milliseconds since 1970. */
function triggeredAt(run: TaskRun): string {
  return run.attempt === 1
    ? instant(run.createTime)!
    : new Date(Number.parseInt(first(run).replace("-", "").slice(0, 12), 16)).toISOString();
}
