/** Requests, made from JavaScript values: the half of every call that needs no connection. */
import { randomUUID } from "node:crypto";
import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { UnsupportedValue } from "./errors.js";
import type { RetryPolicySchema } from "./gen/taskwheel/v1/retry_policy_pb.js";
import type { MisfirePolicySchema, ScheduleSchema } from "./gen/taskwheel/v1/schedule_pb.js";
import { Task_OverlapPolicy, TaskSchema, type Task } from "./gen/taskwheel/v1/task_pb.js";
import {
  PreviewScheduleRequestSchema,
  RunTaskRequestSchema,
  type PreviewScheduleRequest,
  type RunTaskRequest,
} from "./gen/taskwheel/v1/task_service_pb.js";
import type { TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
import { member, toDuration, toObject, toTimestamp, weigh, type Instant } from "./values.js";

export type OverlapPolicy = "ALLOW" | "SKIP" | "QUEUE_ONE" | "CANCEL_RUNNING";

/** The fields of a task that a caller may set. Lengths of time are milliseconds; null clears a field. */
export interface TaskFields {
  /** The name of the handler that executes its runs. */
  handler?: string | undefined;
  /** When it is due: see cron, every and at. */
  schedules?: MessageInitShape<typeof ScheduleSchema>[] | null | undefined;
  /** What a run is given when its request brings nothing. */
  payload?: object | null | undefined;
  displayName?: string | null | undefined;
  description?: string | null | undefined;
  paused?: boolean | null | undefined;
  priority?: number | null | undefined;
  tags?: string[] | null | undefined;
  labels?: Record<string, string> | null | undefined;
  /** See retry. */
  retryPolicy?: MessageInitShape<typeof RetryPolicySchema> | null | undefined;
  overlapPolicy?: OverlapPolicy | null | undefined;
  /** See misfire. */
  misfirePolicy?: MessageInitShape<typeof MisfirePolicySchema> | null | undefined;
  runTimeout?: number | null | undefined;
  startDeadline?: number | null | undefined;
  maxConcurrentRuns?: number | null | undefined;
}

/** What a run may be given besides its payload. */
export interface RunOptions {
  /** Higher goes first; default that of the task. */
  priority?: number | undefined;
  /** The earliest time at which it may start; default now. */
  scheduleTime?: Instant | undefined;
  /** Tags in addition to those of the task. */
  tags?: string[] | undefined;
  /** Labels in addition to those of the task. */
  labels?: Record<string, string> | undefined;
  /** Makes the call safe to repeat; one is made when none is given. */
  requestId?: string | undefined;
}

/** A run to start: the name of its task, its payload (default that of the task), and what else it is given. */
export interface RunRequest extends RunOptions {
  task: string;
  payload?: object | undefined;
}

// The bounds of one BatchRunTasks; a whole message may have 4 MiB.
const BATCH_RUNS = 1000;
const BATCH_BYTES = 3 * 2 ** 20;

/** A run to start, as it is sent. Throws UnsupportedValue for a payload or a time that cannot be sent. */
export function runMessage({ task, payload, scheduleTime, requestId, ...others }: RunRequest): RunTaskRequest {
  return create(RunTaskRequestSchema, {
    name: task,
    requestId: requestId || mintRequestId(),
    ...(payload && { input: { case: "payload", value: toObject(payload) } }),
    ...(scheduleTime && { scheduleTime: toTimestamp(scheduleTime) }),
    ...others,
  });
}

/** A key for one request, so that it may be repeated. */
export function mintRequestId(): string {
  return randomUUID();
}

/** The name of a run, given as such or as the run itself. */
export function runName(run: TaskRun | string): string {
  return typeof run === "string" ? run : run.name;
}

/** Runs to start, in batches that the server takes. */
export function* batches<T>(items: Iterable<T>, request: (item: T) => RunTaskRequest): Generator<T[]> {
  let batch: T[] = [];
  let total = 0;
  for (const item of items) {
    const weight = size(request(item));
    if (batch.length === BATCH_RUNS || (batch.length && total + weight > BATCH_BYTES)) {
      yield batch;
      batch = [];
      total = 0;
    }
    batch.push(item);
    total += weight;
  }
  if (batch.length) {
    yield batch;
  }
}

function size({ name, requestId, input, tags, labels }: RunTaskRequest): number {
  const payload: JsonObject = input.value ?? {};
  return weigh(name) + weigh(requestId) + weigh(payload) + weigh(tags) + weigh(labels);
}

/** A preview of a task or of a schedule, as it is asked for. */
export function previewMessage(
  source: PreviewScheduleRequest["source"],
  count: number,
  after: Instant | undefined,
): PreviewScheduleRequest {
  return create(PreviewScheduleRequestSchema, { source, count, ...(after && { after: toTimestamp(after) }) });
}

type Init = MessageInitShape<typeof TaskSchema>;

/** How a field of a task is set that is not simply what the message has under its name. */
const INITS: { [name: string]: (value: never) => Init } = {
  handler: (value: string) => ({ target: { case: "worker", value: { handler: value } } }),
  payload: (value: object) => ({ input: { case: "payload", value: toObject(value) } }),
  overlapPolicy: (value: OverlapPolicy) => ({ overlapPolicy: member(Task_OverlapPolicy, value) }),
  runTimeout: (value: number) => ({ runTimeout: toDuration(value) }),
  startDeadline: (value: number) => ({ startDeadline: toDuration(value) }),
};

/**
 * A task with these fields, and the mask that names them. A field given as null is in the mask alone.
 *
 * @throws UnsupportedValue a task has no field of this name: the server would not hear of it.
 */
export function taskMessage(fields: TaskFields): { task: Task; paths: string[] } {
  const init: Init = {};
  const paths: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) {
      continue;
    }
    if (!(name in INITS || name in TaskSchema.field)) {
      throw new UnsupportedValue("a task has no such field", name);
    }
    paths.push(name === "handler" ? "worker.handler" : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    if (value !== null) {
      Object.assign(init, INITS[name] ? INITS[name](value as never) : { [name]: value });
    }
  }
  return { task: create(TaskSchema, init), paths };
}
