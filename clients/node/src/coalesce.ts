/**
 * Runs that are started at the same time, sent together.
 *
 * One call of RunTask costs client and server several times what an item of BatchRunTasks does. Calls that may share a
 * batch are a *lane*: those of one namespace that carry the same metadata, so that none goes in another's name. A lane
 * is
 *
 * - closed: nothing of it is on its way. The next call opens it, and goes at once and alone, as RunTask;
 * - open: something is on its way. Calls wait for it to return and then go together, up to 1,000 runs and 3 MiB at a
 *   time; when none waits, the lane is closed. Once 8 wait they go beside the first, so that this process and the server
 *   work at the same time.
 *
 * So a lone caller waits for nobody, and batches grow with the load. Each call keeps an outcome of its own:
 *
 * - A batch is refused whole for the fault of one run. Then all its calls go alone, each to its own answer or error. So
 *   does a call whose run a batch does not answer in full: one that is done already, as its requestId was used before.
 *   The requestId that every call has makes that safe, whatever became of the batch.
 * - Only what says nothing about a single run, such as a server that cannot be reached, is the error of all.
 * - A caller who gives up leaves the others alone; what has not been sent by then, is not.
 *
 * The price: a batch that is slow to return holds up the calls behind it, up to their own deadlines.
 */
import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { DeadlineExceeded, ResourceExhausted, Unavailable } from "./errors.js";
import type { TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
import { BatchRunTasksRequestSchema, type RunTaskRequest } from "./gen/taskwheel/v1/task_service_pb.js";
import { batches } from "./requests.js";
import { LONGEST, tooLate, type CallLimits, type Transport } from "./transport.js";

/** How many calls that wait go beside a batch that is on its way, and how many batches may be. */
const CROWD = 8;
const SENDERS = 2;

/** Calls that may go together. */
interface Lane {
  readonly parent: string;
  readonly headers: Record<string, string>;
  waiting: Call[];
  /** How many batches, or first calls, are on their way. */
  senders: number;
}

/** A call that waits. It is answered the run, or null when it is to go alone. */
interface Call {
  readonly request: RunTaskRequest;
  readonly deadline: number;
  /** Whether the caller has neither given up nor run out of time. */
  waitedFor: boolean;
  readonly answer: (run: TaskRun | null) => void;
  readonly fail: (error: unknown) => void;
}

/** Starts runs, those of concurrent callers together. */
export class RunCoalescer {
  readonly #transport: Transport;
  /** The open lanes. */
  readonly #lanes = new Map<string, Lane>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Start a run, and answer it as RunTask would. Throws RpcError.
   *
   * @param request with payload and requestId. The payload that a task has by default is not in the answer to a batch.
   */
  async run(request: RunTaskRequest, { timeout = this.#transport.timeout, signal }: CallLimits): Promise<TaskRun> {
    const headers = await this.#transport.headers();
    const parent = request.name.startsWith("namespaces/") ? request.name.split("/", 2).join("/") : "";
    const key = JSON.stringify([parent, headers]);
    const deadline = performance.now() + timeout;
    const alone = () =>
      this.#transport.call((options) => this.#transport.tasks.runTask(request, options), {
        headers,
        timeout: deadline - performance.now(),
        signal,
      });
    const lane = this.#lanes.get(key);
    if (lane) {
      const joined = this.#join(lane, request, timeout, signal);
      if (lane.waiting.length >= CROWD && lane.senders < SENDERS) {
        lane.senders += 1;
        void turn().then(() => this.#goOn(key, lane));
      }
      return (await joined) ?? (await alone());
    }
    const opened: Lane = { parent, headers, waiting: [], senders: 1 };
    this.#lanes.set(key, opened);
    try {
      return await alone();
    } finally {
      void this.#goOn(key, opened);
    }
  }

  async #join(
    lane: Lane,
    request: RunTaskRequest,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<TaskRun | null> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const settle = <T>(done: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          call.waitedFor = false;
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          done(value);
        };
      };
      const deadline = performance.now() + timeout;
      const call: Call = { request, deadline, waitedFor: true, answer: settle(resolve), fail: settle(reject) };
      const timer = setTimeout(() => call.fail(tooLate()), Math.min(timeout, LONGEST));
      const abort = () => call.fail(signal?.reason);
      signal?.addEventListener("abort", abort);
      lane.waiting.push(call);
    });
  }

  /** Send what has come to wait, again and again; then, if nothing is on its way, close the lane. */
  async #goOn(key: string, lane: Lane): Promise<void> {
    while (lane.waiting.length) {
      const calls = lane.waiting;
      lane.waiting = [];
      for (const batch of batches(calls, (call) => call.request)) {
        await this.#send(
          lane,
          batch.filter((call) => call.waitedFor),
        );
      }
      // Callers that have just been answered often have the next run at hand.
      await turn();
    }
    lane.senders -= 1;
    if (!lane.senders) {
      this.#lanes.delete(key);
    }
  }

  async #send(lane: Lane, calls: Call[]): Promise<void> {
    if (!calls.length) {
      return;
    }
    const requests = calls.map((call) => call.request);
    const request = create(BatchRunTasksRequestSchema, { parent: lane.parent, requests });
    // As long as the most patient of the callers has; the others give up on their own.
    const timeout = Math.max(...calls.map((call) => call.deadline)) - performance.now();
    try {
      const { taskRuns } = await this.#transport.call((o) => this.#transport.tasks.batchRunTasks(request, o), {
        headers: lane.headers,
        timeout,
      });
      calls.forEach((call, index) => call.answer(whole(call.request, taskRuns[index]!)));
    } catch (error) {
      const ofAll =
        error instanceof Unavailable || error instanceof DeadlineExceeded || error instanceof ResourceExhausted;
      // Whatever else it is, each call meets its own error alone.
      calls.forEach((call) => (ofAll ? call.fail(error) : call.answer(null)));
    }
  }
}

/** A run in the answer to a batch as RunTask answers it; null if it lacks what the request does not tell. */
function whole(request: RunTaskRequest, run: TaskRun): TaskRun | null {
  const asked = request.tags.length || Object.keys(request.labels).length;
  if (run.done || (asked && !run.tags.length && !Object.keys(run.labels).length)) {
    return null;
  }
  run.input = request.input;
  return run;
}
