/** One task, to act on. */
import type { Client } from "./client.js";
import { Task_OverlapPolicy, type Task } from "./gen/taskwheel/v1/task_pb.js";
import type { TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
import type { PreviewScheduleResponse, RunTaskRequest } from "./gen/taskwheel/v1/task_service_pb.js";
import type { ListRunsOptions } from "./options.js";
import {
  mintRequestId,
  previewMessage,
  runMessage,
  taskMessage,
  type OverlapPolicy,
  type RunOptions,
  type TaskFields,
} from "./requests.js";
import type { CallLimits, Transport } from "./transport.js";
import { member, toTimestamp, type Instant } from "./values.js";

/** A backfill inserts up to 10,000 runs before it answers. */
const BACKFILL_TIMEOUT = 60_000;

/** Starts a run, alone or with others. */
export type StartRun = (request: RunTaskRequest, limits: CallLimits) => Promise<TaskRun>;

/** What a caller knows of a task that it changes. */
export interface EtagOption {
  /** The etag of the task as the caller knows it; the call is Aborted if it is not current any more. */
  etag?: string | undefined;
}

/** One task of a server. Made by Client.task; every method throws NotFound when there is no such task. */
export class TaskHandle {
  readonly #client: Client;
  readonly #transport: Transport;
  readonly #start: StartRun;

  /**
   * @param name the id, full name or uid of the task.
   * @internal
   */
  constructor(
    client: Client,
    transport: Transport,
    start: StartRun,
    public name: string,
  ) {
    this.#client = client;
    this.#transport = transport;
    this.#start = start;
  }

  /**
   * Start a run, and answer it as it was admitted.
   *
   * Runs with a payload that are started at the same time share a call of the server, see `coalesce` of Client.
   *
   * @param payload what the handler is given; default the payload of the task.
   * @throws UnsupportedValue the payload is not JSON.
   * @throws AlreadyExists requestId was used with another task or payload.
   */
  async run(payload?: object, options: RunOptions & CallLimits = {}): Promise<TaskRun> {
    const { timeout, signal, ...others } = options;
    return this.#start(runMessage({ task: this.name, payload, ...others }), { timeout, signal });
  }

  /** Run it and answer what the handler returned; see Client.runWithResult. */
  async runWithResult<T = unknown>(payload?: object, limits: CallLimits = {}): Promise<T> {
    return this.#client.runWithResult<T>(this.name, payload, limits);
  }

  /** The task as it is now. */
  async get(limits: CallLimits = {}): Promise<Task> {
    return this.#transport.call((options) => this.#transport.tasks.getTask({ name: this.name }, options), limits);
  }

  /**
   * Set the fields that are given, and no others. Later runs have them; runs there already do not.
   *
   * @throws Aborted etag is not current any more.
   */
  async update(
    fields: TaskFields,
    { etag = "", validateOnly = false, ...limits }: EtagOption & { validateOnly?: boolean } & CallLimits = {},
  ): Promise<Task> {
    const { task, paths } = taskMessage(fields);
    Object.assign(task, { name: this.name, etag });
    const request = { task, updateMask: { paths }, validateOnly };
    const delivery = { ...limits, repeatable: !etag };
    return this.#transport.call((options) => this.#transport.tasks.updateTask(request, options), delivery);
  }

  /** Stop its schedules; its runs go on. `reason` is for people. */
  async pause(reason = "", limits: CallLimits = {}): Promise<Task> {
    const request = { name: this.name, reason };
    return this.#transport.call((options) => this.#transport.tasks.pauseTask(request, options), limits);
  }

  /** Start its schedules again, from now on. */
  async resume(limits: CallLimits = {}): Promise<Task> {
    return this.#transport.call((options) => this.#transport.tasks.resumeTask({ name: this.name }, options), limits);
  }

  /**
   * Delete it. Its PENDING runs are cancelled; the others are kept as long as any.
   *
   * @throws Aborted etag is not current any more.
   */
  async delete({
    etag = "",
    allowMissing = false,
    ...limits
  }: EtagOption & { allowMissing?: boolean } & CallLimits = {}): Promise<void> {
    const request = { name: this.name, etag, allowMissing };
    const delivery = { ...limits, repeatable: allowMissing };
    await this.#transport.call((options) => this.#transport.tasks.deleteTask(request, options), delivery);
  }

  /**
   * Give it another id, by which this handle then knows it.
   *
   * @throws AlreadyExists there is a task of that id.
   */
  async rename(newTaskId: string, limits: CallLimits = {}): Promise<Task> {
    const request = { name: this.name, newTaskId };
    const delivery = { ...limits, repeatable: false };
    const task = await this.#transport.call((options) => this.#transport.tasks.renameTask(request, options), delivery);
    this.name = task.name;
    return task;
  }

  /** Its next slots, and what its schedules mean in English; 10 slots unless `count` is given. */
  async preview({
    count = 0,
    after,
    ...limits
  }: { count?: number; after?: Instant } & CallLimits = {}): Promise<PreviewScheduleResponse> {
    const request = previewMessage({ case: "task", value: this.name }, count, after);
    return this.#transport.call((options) => this.#transport.tasks.previewSchedule(request, options), limits);
  }

  /**
   * Start the runs of all slots from startTime until before endTime, as if they were due now. They are answered with
   * name, uid, state, stateReason, trigger and scheduledTime alone.
   *
   * @throws InvalidArgument the range has more than 10,000 slots.
   * @throws FailedPrecondition the task has no schedules.
   */
  async backfill(
    startTime: Instant,
    endTime: Instant,
    options: { overlapPolicy?: OverlapPolicy; requestId?: string } & CallLimits = {},
  ): Promise<TaskRun[]> {
    const { overlapPolicy, requestId, timeout = BACKFILL_TIMEOUT, signal } = options;
    const request = {
      name: this.name,
      startTime: toTimestamp(startTime),
      endTime: toTimestamp(endTime),
      requestId: requestId || mintRequestId(),
      ...(overlapPolicy && { overlapPolicy: member(Task_OverlapPolicy, overlapPolicy) }),
    };
    const rpc = this.#transport.tasks.backfillTask;
    return (await this.#transport.call((o) => rpc(request, o), { timeout, signal })).taskRuns;
  }

  /** Its runs; the options are those of Client.listRuns. */
  runs({ filter, ...options }: ListRunsOptions = {}): AsyncGenerator<TaskRun> {
    const own = `task = ${JSON.stringify(this.name)}`;
    return this.#client.listRuns({ ...options, filter: filter ? `${own} AND (${filter})` : own });
  }

  /** The latest status of one of its runs; null when it has no such run, or it is too old. */
  async getTaskStatus(run: string, limits: CallLimits = {}): Promise<TaskRun | null> {
    return this.#client.getTaskStatus(run, { task: this.name, ...limits });
  }
}
