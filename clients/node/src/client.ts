/** The client of a taskwheel server. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import type { CallOptions } from "@connectrpc/connect";
import { RunCoalescer } from "./coalesce.js";
import { NotFound, RunFailed } from "./errors.js";
import * as follow from "./follow.js";
import type { GetServerInfoResponse } from "./gen/taskwheel/v1/admin_service_pb.js";
import type { Event } from "./gen/taskwheel/v1/event_pb.js";
import { WatchEventsRequestSchema, type WatchEventsResponse } from "./gen/taskwheel/v1/event_service_pb.js";
import { LogEntry_Level, type LogEntry } from "./gen/taskwheel/v1/log_entry_pb.js";
import { ScheduleSchema } from "./gen/taskwheel/v1/schedule_pb.js";
import type { Task } from "./gen/taskwheel/v1/task_pb.js";
import { TaskRun_State, type TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
import { ListTaskRunsRequest_View, StreamTaskRunLogsRequestSchema } from "./gen/taskwheel/v1/task_run_service_pb.js";
import type { PreviewScheduleResponse, RunTaskRequest } from "./gen/taskwheel/v1/task_service_pb.js";
import type { ClientOptions, FollowLogsOptions, ListOptions, ListRunsOptions } from "./options.js";
import {
  batches,
  mintRequestId,
  previewMessage,
  runMessage,
  runName,
  taskMessage,
  type RunRequest,
  type TaskFields,
} from "./requests.js";
import { TaskHandle } from "./task.js";
import { Transport, type CallLimits, type Services } from "./transport.js";
import { member, resultOf, type Instant } from "./values.js";

/** How long to wait for a run, where a caller does not say. */
const WAIT = 60_000;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * A connection to a taskwheel server. It is opened with the first call; a process does not end while a call or a stream
 * is under way over it.
 *
 * Calls the transport could not deliver are repeated, up to 4 times within a second, where that is safe: a run is
 * started with a requestId. Every method throws an RpcError of the class that fits. Times to wait are milliseconds.
 *
 *     const client = new Client({ address: "localhost:7420" });
 *     const run = await client.task("send-report").run({ to: "ann@example.org" });
 */
export class Client {
  readonly #transport: Transport;
  readonly #coalescer: RunCoalescer | undefined;

  constructor({ coalesce = true, ...connection }: ClientOptions = {}) {
    this.#transport = new Transport(connection);
    this.#coalescer = coalesce ? new RunCoalescer(this.#transport) : undefined;
  }

  /** The task of this id, full name or uid, to act on. Nothing is sent yet. */
  task(name: string): TaskHandle {
    return new TaskHandle(this, this.#transport, (request, limits) => this.#startRun(request, limits), name);
  }

  /**
   * Create a task.
   *
   * @param taskId 1 to 128 letters, digits, `_` or `-`.
   * @param fields see TaskFields; handler is required.
   * @param options `requestId` makes the call safe to repeat; one is made when none is given. `validateOnly`: check
   *   alone, and answer the task as it would be.
   * @throws AlreadyExists there is a task of this id.
   */
  async createTask(
    taskId: string,
    fields: TaskFields,
    options: { requestId?: string; validateOnly?: boolean } & CallLimits = {},
  ): Promise<Task> {
    const { requestId, validateOnly = false, ...limits } = options;
    const request = { taskId, task: taskMessage(fields).task, requestId: requestId || mintRequestId(), validateOnly };
    return this.#transport.call((o) => this.#transport.tasks.createTask(request, o), limits);
  }

  /** All tasks that match a filter, page by page as they are asked for. */
  listTasks({ signal, ...request }: ListOptions = {}): AsyncGenerator<Task> {
    return follow.pages(
      (pageToken) => this.call((api, o) => api.tasks.listTasks({ ...request, pageToken }, o), { signal }),
      (page) => page.tasks,
    );
  }

  /** All runs that match a filter, page by page as they are asked for. */
  listRuns({ signal, full = false, ...request }: ListRunsOptions = {}): AsyncGenerator<TaskRun> {
    const view = full ? ListTaskRunsRequest_View.FULL : ListTaskRunsRequest_View.BASIC;
    return follow.pages(
      (pageToken) => this.call((api, o) => api.runs.listTaskRuns({ ...request, view, pageToken }, o), { signal }),
      (page) => page.taskRuns,
    );
  }

  /** All events that are kept and match a filter, page by page as they are asked for. */
  listEvents({ signal, ...request }: ListOptions = {}): AsyncGenerator<Event> {
    return follow.pages(
      (pageToken) => this.call((api, o) => api.events.listEvents({ ...request, pageToken }, o), { signal }),
      (page) => page.events,
    );
  }

  /**
   * Start several runs, of one task or several, and answer them in the same order, without payload.
   *
   * Up to 1,000 runs and 3 MiB go into one transaction, which has 30 s unless `timeout` says otherwise; more are split,
   * and then earlier ones stand when a later one is at fault.
   */
  async runMany(requests: Iterable<RunRequest>, { timeout = 30_000, signal }: CallLimits = {}): Promise<TaskRun[]> {
    const runs: TaskRun[] = [];
    for (const batch of batches(Array.from(requests, runMessage), (request) => request)) {
      const answer = await this.call((api, o) => api.tasks.batchRunTasks({ requests: batch }, o), { timeout, signal });
      runs.push(...answer.taskRuns);
    }
    return runs;
  }

  /**
   * Run a task, wait for its last attempt, and answer what the handler returned.
   *
   * @param payload what the handler is given; default the payload of the task.
   * @param limits `timeout`: how long to wait, default 60,000; Infinity: as long as it takes.
   * @throws RunFailed it ended otherwise than SUCCEEDED.
   * @throws RunNotDone the time has passed; the run goes on.
   */
  async runWithResult<T = unknown>(
    task: string,
    payload?: object,
    { timeout = WAIT, signal }: CallLimits = {},
  ): Promise<T> {
    const run = await this.task(task).run(payload, { signal });
    const done = await this.wait(run, { timeout, signal, followRetries: true });
    if (done.state !== TaskRun_State.SUCCEEDED) {
      throw new RunFailed(done);
    }
    return resultOf(done) as T;
  }

  /**
   * A run as it is now.
   *
   * @param run the run, its uid or its name.
   * @param options `task`: the name of the task it must belong to, default any. `followRetries`: answer the last
   *   attempt instead.
   * @throws NotFound there is none, or it is no longer kept.
   */
  async getRun(
    run: TaskRun | string,
    { task = "", followRetries = false, ...limits }: { task?: string; followRetries?: boolean } & CallLimits = {},
  ): Promise<TaskRun> {
    const request = { name: runName(run), task, followRetries };
    return this.call((api, o) => api.runs.getTaskRun(request, o), limits);
  }

  /**
   * A run once it is done, however it ended; a restart of the server meanwhile is waited out.
   *
   * @param run the run, its uid or its name.
   * @param options `timeout`: how long to wait, default 60,000; Infinity: as long as it takes. `followRetries`: wait for
   *   the last attempt; otherwise a RETRIED run is done.
   * @throws RunNotDone the time has passed; the run goes on.
   */
  async wait(
    run: TaskRun | string,
    { timeout = WAIT, signal, followRetries = false }: { followRetries?: boolean } & CallLimits = {},
  ): Promise<TaskRun> {
    return follow.wait(this.#transport, runName(run), followRetries, { timeout, signal });
  }

  /**
   * Cancel a run: for certain if it is PENDING, else by asking its worker.
   *
   * @param run the run, its uid or its name.
   * @param options `reason`: why, for people. `pendingOnly`: only if it has not started.
   * @throws FailedPrecondition it has ended otherwise, or it has started and pendingOnly is set.
   */
  async cancel(
    run: TaskRun | string,
    { reason = "", pendingOnly = false, ...limits }: { reason?: string; pendingOnly?: boolean } & CallLimits = {},
  ): Promise<TaskRun> {
    const request = { name: runName(run), reason, pendingOnly };
    return this.call((api, o) => api.runs.cancelTaskRun(request, o), limits);
  }

  /**
   * The latest status of what was triggered, its retries followed; null when it is unknown or too old.
   *
   * @param id the uid of a run; or the uid or name of a task, for its latest run.
   * @param options `task`: the name of the task the run must belong to, default any.
   * @returns the run, if it was triggered within the time that runs are kept, 7 days.
   */
  async getTaskStatus(
    id: string,
    { task = "", ...limits }: { task?: string } & CallLimits = {},
  ): Promise<TaskRun | null> {
    let run: TaskRun | null;
    try {
      run = await this.#runOf(id, task, limits);
    } catch (error) {
      if (error instanceof NotFound) {
        return null;
      }
      throw error;
    }
    if (!run) {
      return null;
    }
    const { serverTime, limits: bounds } = await this.serverInfo(limits);
    return nanos(serverTime!) - nanos(run.createTime!) < nanos(bounds!.retention!) ? run : null;
  }

  async #runOf(id: string, task: string, limits: CallLimits): Promise<TaskRun | null> {
    const options = { followRetries: true, ...limits };
    if (task || id.includes("runs/")) {
      return this.getRun(id, { task, ...options });
    }
    if (UUID.test(id)) {
      try {
        return await this.getRun(id, options);
      } catch (error) {
        if (!(error instanceof NotFound) || error.reason === "RUN_EXPIRED") {
          throw error;
        }
      }
    }
    const { lastRun } = await this.task(id).get(limits);
    return lastRun ? this.getRun(lastRun, options) : null;
  }

  /**
   * Events as they happen, in order and each once; a broken connection is taken up again where it broke.
   *
   * The call answers once the watch stands, so that nothing done after it is missed:
   * `for await (const event of await client.watchEvents()) …`
   *
   * @param options `filter`: an AIP-160 filter, such as `type = run_failed`. `after`: the sequence after which to begin;
   *   default from now on, 0n: with the oldest event that is kept. `timeout`: how long the watch may take to stand.
   * @throws OutOfRange events after `after` are no longer kept, or it lies ahead.
   */
  async watchEvents({
    filter = "",
    after,
    timeout,
    signal,
  }: { filter?: string; after?: bigint } & CallLimits = {}): Promise<AsyncGenerator<Event>> {
    const request = create(WatchEventsRequestSchema, { filter, ...(after !== undefined && { afterSequence: after }) });
    const batches = follow.eventBatches(this.#transport, request, timeout ?? this.#transport.timeout, signal);
    const first = await batches.next();
    return events(first.value as WatchEventsResponse, batches);
  }

  /**
   * What a run wrote and, until it is done, what it writes; a broken connection is taken up where it broke.
   *
   * @param run the run, its uid or its name.
   * @param options `after`: the sequence after which to begin. `follow`: whether to go on until the run is done, default
   *   true. `followRetries`: whether to go on with the later attempts. `minLevel`: the least level of entries.
   */
  followLogs(run: TaskRun | string, options: FollowLogsOptions = {}): AsyncGenerator<LogEntry> {
    const { after = 0n, follow: goOn = true, followRetries = false, minLevel = "DEBUG", signal } = options;
    const request = create(StreamTaskRunLogsRequestSchema, {
      name: runName(run),
      afterSequence: after,
      follow: goOn,
      followRetries,
      minLevel: member(LogEntry_Level, minLevel),
    });
    return follow.logEntries(this.#transport, request, signal);
  }

  /** The next slots of a schedule that is not stored, and what it means in English; 10 unless `count` is given. */
  async preview(
    schedule: MessageInitShape<typeof ScheduleSchema>,
    { count = 0, after, ...limits }: { count?: number; after?: Instant } & CallLimits = {},
  ): Promise<PreviewScheduleResponse> {
    const request = previewMessage({ case: "schedule", value: create(ScheduleSchema, schedule) }, count, after);
    return this.call((api, o) => api.tasks.previewSchedule(request, o), limits);
  }

  /** What the server is and what it allows. */
  async serverInfo(limits: CallLimits = {}): Promise<GetServerInfoResponse> {
    return this.call((api, o) => api.admin.getServerInfo({}, o), limits);
  }

  /**
   * Any call of the contract, for what has no method here: `client.call((api, o) => api.runs.listTaskRuns({}, o))`. It
   * has the deadline, the credentials, the errors and the repetitions of the others; `repeatable: false` for one that
   * is not safe to repeat.
   */
  async call<T>(
    rpc: (api: Services, options: CallOptions) => Promise<T>,
    limits: CallLimits & { repeatable?: boolean } = {},
  ): Promise<T> {
    return this.#transport.call((options) => rpc(this.#transport, options), limits);
  }

  /** End the connection. */
  async close(): Promise<void> {
    this.#transport.close();
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #startRun(request: RunTaskRequest, limits: CallLimits): Promise<TaskRun> {
    return this.#coalescer && request.input.case
      ? this.#coalescer.run(request, limits)
      : this.call((api, o) => api.tasks.runTask(request, o), limits);
  }
}

function nanos({ seconds, nanos }: Duration | Timestamp): bigint {
  return seconds * 10n ** 9n + BigInt(nanos);
}

async function* events(
  first: WatchEventsResponse,
  batches: AsyncGenerator<WatchEventsResponse>,
): AsyncGenerator<Event> {
  yield* first.events;
  for await (const response of batches) {
    yield* response.events;
  }
}
