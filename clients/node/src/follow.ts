/** Long reads: pages, waits and streams that survive a broken connection. */
import { create } from "@bufbuild/protobuf";
import { RunNotDone, Unavailable } from "./errors.js";
import type { WatchEventsRequest, WatchEventsResponse } from "./gen/taskwheel/v1/event_service_pb.js";
import type { LogEntry } from "./gen/taskwheel/v1/log_entry_pb.js";
import { WaitTaskRunRequestSchema, type StreamTaskRunLogsRequest } from "./gen/taskwheel/v1/task_run_service_pb.js";
import type { TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";
import { isBroken, pass, type CallLimits, type Transport } from "./transport.js";
import { toDuration } from "./values.js";

/** How long one WaitTaskRun waits. Shorter than what proxies allow an idle call. */
const WAIT = 30_000;

/** Tries to take a broken connection up again, about 30 s in all: a restart takes seconds, an outage should be heard of. */
const TRIES = 10;

/** Decides whether a connection that broke is taken up again: if it ever stood, and not for ever. */
class Patience {
  #stood: boolean;
  #failures = 0;
  #since = performance.now();

  constructor(transport: Transport) {
    this.#stood = transport.answered;
  }

  /** The connection stands. */
  answered(): void {
    this.#stood = true;
    this.#failures = 0;
  }

  /** Let some time pass before the next try, or throw the error; in any case once the deadline has passed. */
  async after(error: unknown, signal: AbortSignal | undefined, deadline = Infinity): Promise<void> {
    const left = deadline - performance.now();
    if (performance.now() - this.#since > 1000) {
      // What is refused is refused at once.
      this.answered();
    }
    this.#stood ||= error instanceof Unavailable && error.cut;
    if (!isBroken(error) || !this.#stood || this.#failures >= TRIES || left <= 0) {
      throw error;
    }
    const pause = Math.min(100 * 2 ** this.#failures, 5000) * (0.5 + Math.random() / 2);
    await pass(Math.min(pause, left), signal);
    this.#failures += 1;
    this.#since = performance.now();
  }
}

/** A page of a list, whatever it lists. */
interface Page {
  nextPageToken: string;
}

/** All items of a list, page by page as they are asked for. */
export async function* pages<P extends Page, T>(
  ask: (pageToken: string) => Promise<P>,
  items: (page: P) => T[],
): AsyncGenerator<T> {
  let pageToken = "";
  do {
    const page = await ask(pageToken);
    yield* items(page);
    pageToken = page.nextPageToken;
  } while (pageToken);
}

/** The run once it is done, asked for anew as long as there is time. */
export async function wait(
  transport: Transport,
  name: string,
  followRetries: boolean,
  { timeout = Infinity, signal }: CallLimits,
): Promise<TaskRun> {
  const deadline = performance.now() + timeout;
  const patience = new Patience(transport);
  for (;;) {
    const left = Math.max(0, Math.min(WAIT, deadline - performance.now()));
    const request = create(WaitTaskRunRequestSchema, { name, followRetries, timeout: toDuration(left) });
    let run: TaskRun;
    try {
      run = await transport.call((options) => transport.runs.waitTaskRun(request, options), {
        timeout: left + transport.timeout,
        signal,
      });
    } catch (error) {
      await patience.after(error, signal, deadline);
      continue;
    }
    patience.answered();
    if (run.done) {
      return run;
    }
    if (performance.now() >= deadline) {
      throw new RunNotDone(run);
    }
  }
}

/**
 * The responses of WatchEvents without end. The first one is empty and tells that the watch stands.
 *
 * @param timeout how long the watch may take to stand at first.
 */
export async function* eventBatches(
  transport: Transport,
  request: WatchEventsRequest,
  timeout: number,
  signal?: AbortSignal,
): AsyncGenerator<WatchEventsResponse> {
  const patience = new Patience(transport);
  let placed = false;
  for (;;) {
    try {
      const limits = { signal, ...(!placed && { timeout }) };
      for await (const response of transport.stream((o) => transport.events.watchEvents(request, o), limits)) {
        patience.answered();
        request.afterSequence = response.sequence;
        if (response.events.length || !placed) {
          placed = true;
          yield response;
        }
      }
    } catch (error) {
      await patience.after(error, signal);
    }
  }
}

/** The entries of a log to its end. */
export async function* logEntries(
  transport: Transport,
  request: StreamTaskRunLogsRequest,
  signal?: AbortSignal,
): AsyncGenerator<LogEntry> {
  const patience = new Patience(transport);
  for (;;) {
    try {
      const limits = { signal };
      for await (const { entries } of transport.stream((o) => transport.runs.streamTaskRunLogs(request, o), limits)) {
        patience.answered();
        for (const { run, sequence } of entries) {
          request.name = run;
          request.afterSequence = sequence;
        }
        yield* entries;
      }
      return;
    } catch (error) {
      await patience.after(error, signal);
    }
  }
}
