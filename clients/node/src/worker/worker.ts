/** The worker as its users see it, and the loop that keeps it connected. */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { DeadlineExceeded, RpcError } from "../errors.js";
import { CompleteTaskRunsRequestSchema, HelloSchema } from "../gen/taskwheel/v1/worker_service_pb.js";
import { Transport, type ConnectionOptions } from "../transport.js";
import { Executor, type Handler, type WorkerLog } from "./executor.js";
import { Outbox } from "./outbox.js";
import { Stream } from "./stream.js";

export type { Handler };

const FIRST_DELAY = 200;
const LAST_DELAY = 10_000;
/** A worker that stops has only its grace to bring home what it has. */
const STOPPING_DELAY = 500;

/** What servers and proxies that end make of a stream; anything else is a refusal. */
const BROKEN = new Set(["UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"]);

/** Once the grace is over: for handlers to hear that they are to stop, and for the last results to arrive. */
const AFTER_GRACE = 5000;

const STDERR: WorkerLog = { info: console.error, warn: console.error };

/** Where a worker connects to, and how it works. */
export interface WorkerOptions extends Omit<ConnectionOptions, "timeout"> {
  /** How many runs it works on at a time, 1 to 10,000; default 100. */
  maxConcurrentRuns?: number;
  /** A name for it, which runs carry; default the host and the process id. */
  workerId?: string;
  /** Milliseconds that runs may still take after stop; then their signals are aborted. Default 30,000. */
  grace?: number;
  /** Where it says that it is connected or not, and what was lost; default the standard error output. */
  log?: WorkerLog;
}

/**
 * Works runs of the handlers it has, until it is stopped.
 *
 * A handler is given a Run; what it returns, any JSON value, is the result of the run, and what it throws is its error,
 * which retry policies know by its name. The connection is kept: after a break the worker connects again, goes on with
 * the runs it holds, and delivers the results it could not deliver.
 *
 *     const worker = new Worker({ maxConcurrentRuns: 10 });
 *     worker.handler("send-report", async (run) => ({ to: run.payload["to"] }));
 *     await worker.run();
 */
export class Worker {
  readonly #handlers = new Map<string, Handler>();
  readonly #options: WorkerOptions;
  readonly #log: WorkerLog;
  readonly #stopping = new AbortController();
  readonly #hurry = new AbortController();

  constructor(options: WorkerOptions = {}) {
    this.#options = options;
    this.#log = options.log ?? STDERR;
  }

  /**
   * Register a function, plain or async, for the runs of tasks whose handler has this name.
   *
   * @throws RangeError the name has a handler already.
   */
  handler<P = JsonObject>(name: string, handler: Handler<P>): this {
    if (this.#handlers.has(name)) {
      throw new RangeError(`there is a handler ${JSON.stringify(name)} already`);
    }
    this.#handlers.set(name, handler as Handler);
    return this;
  }

  /**
   * Work until stop is called, or the process is told to end by SIGTERM or SIGINT; the second time at once.
   *
   * @throws RpcError the server refuses the worker.
   * @throws RangeError it has no handlers, or the address is no host:port.
   */
  async run(): Promise<void> {
    const stop = () => this.stop();
    process.on("SIGTERM", stop).on("SIGINT", stop);
    try {
      await this.serve();
    } finally {
      process.off("SIGTERM", stop).off("SIGINT", stop);
    }
  }

  /** Finish what is under way and hand back what has not begun; called again, do not wait. */
  stop(): void {
    if (this.#stopping.signal.aborted) {
      this.#hurry.abort();
    }
    this.#stopping.abort();
  }

  /** Work until stop is called, whatever signals the process gets. Throws as run does. */
  async serve(): Promise<void> {
    if (!this.#handlers.size) {
      throw new RangeError("the worker has no handlers");
    }
    const { maxConcurrentRuns = 100 } = this.#options;
    const transport = new Transport(this.#options);
    const outbox = new Outbox();
    const executor = new Executor(this.#handlers, maxConcurrentRuns, outbox, this.#log);
    const over = new AbortController();
    const ending = this.#endOfGrace(executor, over.signal);
    try {
      await Promise.race([ending, this.#stayConnected(transport, outbox, executor, over.signal)]);
    } finally {
      over.abort();
      executor.drain();
      executor.interrupt();
      // Lets interrupted handlers report.
      await sleep(0);
      await this.#deliver(transport, outbox);
      outbox.close();
      transport.close();
    }
  }

  async #endOfGrace(executor: Executor, over: AbortSignal): Promise<void> {
    await aborted(AbortSignal.any([this.#stopping.signal, over]));
    if (over.aborted) {
      return;
    }
    executor.drain();
    await within(this.#options.grace ?? 30_000, AbortSignal.any([this.#hurry.signal, over]));
    executor.interrupt();
    await within(AFTER_GRACE, over);
  }

  async #stayConnected(transport: Transport, outbox: Outbox, executor: Executor, over: AbortSignal): Promise<void> {
    const { workerId = `${hostname()}:${process.pid}`, maxConcurrentRuns = 100 } = this.#options;
    const hello = create(HelloSchema, { workerId, handlers: [...this.#handlers.keys()], maxConcurrentRuns });
    const stopping = this.#stopping.signal;
    const done = () => over.aborted || (stopping.aborted && !outbox.held.size && outbox.empty);
    let delay = FIRST_DELAY;
    let told = false;
    while (!done()) {
      const stream = new Stream(transport, hello, outbox, executor, this.#log);
      const end = () => stream.end();
      over.addEventListener("abort", end);
      try {
        await stream.work();
        told = false;
      } catch (error) {
        if (!(error instanceof RpcError) || !BROKEN.has(error.code)) {
          throw error;
        }
        if (stream.welcomed || !told) {
          // Once an outage.
          this.#log.warn(`no connection to ${transport.address}, trying again: ${error.message}`);
        }
        told = true;
      } finally {
        over.removeEventListener("abort", end);
      }
      if (stream.welcomed) {
        delay = FIRST_DELAY;
      }
      const pause = delay * (0.5 + Math.random() / 2);
      if (!stopping.aborted) {
        await within(pause, stopping);
      } else if (!done()) {
        await within(Math.min(pause, STOPPING_DELAY), over);
      }
      delay = Math.min(2 * delay, LAST_DELAY);
    }
  }

  /**
   * Say by single calls what the stream could not deliver before the worker ended; lines before results. A line that is
   * lost is no reason to lose a result.
   */
  async #deliver(transport: Transport, outbox: Outbox): Promise<void> {
    outbox.restore();
    let reached = true;
    const deliver = async (call: Promise<unknown>) => {
      try {
        await call;
      } catch (error) {
        this.#log.warn(`what the worker had left could not be delivered: ${String(error)}`);
        reached &&= error instanceof RpcError && !BROKEN.has(error.code) && !(error instanceof DeadlineExceeded);
      }
    };
    for (let frame = outbox.frame(); reached && frame; frame = outbox.frame()) {
      const { logs, results } = frame;
      for (const lines of logs) {
        await deliver(transport.call((o) => transport.workers.appendLogs(lines, o), { repeatable: false }));
      }
      if (results.length) {
        const request = create(CompleteTaskRunsRequestSchema, { results });
        await deliver(transport.call((o) => transport.workers.completeTaskRuns(request, o)));
      }
    }
  }
}

/** Let time pass, until the signal at most. */
async function within(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(milliseconds, 2 ** 31 - 1), undefined, { signal }).catch(() => undefined);
}

/** Wait for a signal. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
}
