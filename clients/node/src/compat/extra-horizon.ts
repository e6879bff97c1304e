/** The tasks of Extra Horizon's SDK: planned runs of functions. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Client } from "../client.js";
import type { TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import { payloadOf } from "../values.js";
import { instant, lastPart, upTo, word } from "./words.js";

const STATUSES = {
  PENDING: "new",
  RUNNING: "inProgress",
  CANCELLING: "inProgress",
  SUCCEEDED: "complete",
  FAILED: "failed",
  CANCELLED: "canceled",
  SKIPPED: "canceled",
  RETRIED: "retried",
} as const;

/** A planned run of a function. */
export interface PlannedTask {
  id: string;
  functionName: string;
  status: (typeof STATUSES)[keyof typeof STATUSES];
  statusChangedTimestamp: string;
  /** The input, if there is any. */
  data?: JsonObject;
  tags: string[];
  startTimestamp: string;
  priority: number;
  createdByApplicationId: string;
  /** Missing where an application acted on its own. */
  createdByUserId?: string;
  creationTimestamp: string;
  updateTimestamp: string;
  /** The earlier attempts, if there were any. */
  retryForTaskIds?: string[];
  /** The next attempt, of one that was retried. */
  retriedByTaskId?: string;
  /** Why it failed. */
  error?: { type: string; name: string; message: string };
}

/** A run to plan. */
export interface Plan {
  /** The name of the task. */
  functionName: string;
  /** Its input; default the payload of the task. */
  data?: object;
  /** Higher ones take precedence. */
  priority?: number;
  /** When it starts; default now. */
  startTimestamp?: Date;
  /** To find it by. */
  tags?: string[];
}

/** Plans functions, which are the tasks of the server, and finds what was planned. */
export interface Tasks {
  /** Plan a function. */
  create(plan: Plan): Promise<PlannedTask>;
  /** What was planned, the newest first, 50 unless said; `filter` and `orderBy` are those of Client.listRuns. */
  find(what?: { filter?: string; orderBy?: string; limit?: number }): Promise<PlannedTask[]>;
  /** Revoke a task that is new. FailedPrecondition for one in progress, which cannot be halted. */
  cancel(taskId: string): Promise<PlannedTask>;
}

/** Extra Horizon's SDK. */
export function extraHorizon(client: Client): { tasks: Tasks } {
  return {
    tasks: {
      async create({ functionName, data, startTimestamp, ...others }) {
        return planned(await client.task(functionName).run(data, { scheduleTime: startTimestamp, ...others }));
      },
      async find({ limit = 50, ...what } = {}) {
        const runs = client.listRuns({ ...what, full: true, pageSize: limit });
        return (await upTo(limit, runs)).map(planned);
      },
      async cancel(taskId) {
        return planned(await client.cancel(taskId, { pendingOnly: true }));
      },
    },
  };
}

function planned(run: TaskRun): PlannedTask {
  const data = payloadOf(run);
  return {
    id: run.uid,
    functionName: run.taskId,
    status: word(STATUSES, run),
    statusChangedTimestamp: instant(run.stateChangeTime)!,
    ...(data && { data }),
    tags: run.tags,
    startTimestamp: instant(run.scheduleTime)!,
    priority: run.priority,
    createdByApplicationId: run.creator?.application ?? "",
    ...(run.creator?.user && { createdByUserId: run.creator.user }),
    creationTimestamp: instant(run.createTime)!,
    updateTimestamp: instant(run.updateTime)!,
    ...(run.retryForRuns.length && { retryForTaskIds: run.retryForRuns.map(lastPart) }),
    ...(run.retriedByRun && { retriedByTaskId: lastPart(run.retriedByRun) }),
    ...(run.error && { error: { type: run.error.type, name: run.error.name, message: run.error.message } }),
  };
}
