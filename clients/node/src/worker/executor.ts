/** Starts what is assigned, and reports what becomes of it. */
import { RunCancelled, WorkerStopped } from "../errors.js";
import { Cancellation_Reason, type Assignment, type Cancellation } from "../gen/taskwheel/v1/worker_service_pb.js";
import type { Outbox } from "./outbox.js";
import * as outcome from "./outcome.js";
import { Run, type AnyRun } from "./run.js";

/** Executes a run, plain or async: what it returns is the result, what it throws is the error. */
export type Handler<P = never> = (run: Run<P>) => unknown;

/** Where the worker says what its users should know. */
export type WorkerLog = Pick<Console, "info" | "warn">;

/**
 * Holds the runs of a worker from their assignment to their result.
 *
 * After a reconnect the server may assign while runs of the last stream are still at work. So the bound is kept here
 * too: what exceeds it waits, under its lease.
 */
export class Executor {
  /** Whether nothing more is begun. */
  draining = false;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #size: number;
  readonly #outbox: Outbox;
  readonly #log: WorkerLog;
  #atWork = 0;
  #waiting: AnyRun[] = [];

  constructor(handlers: ReadonlyMap<string, Handler>, size: number, outbox: Outbox, log: WorkerLog) {
    this.#handlers = handlers;
    this.#size = size;
    this.#outbox = outbox;
    this.#log = log;
  }

  /** Start runs, or hand them back when draining. */
  assign(assignments: Assignment[]): void {
    for (const assignment of assignments) {
      const run = new Run<unknown>(assignment, this.#outbox);
      const stale = this.#outbox.held.get(run.name);
      if (stale) {
        // Its lease ended while the stream was broken.
        this.#lose(stale);
      }
      this.#outbox.held.set(run.name, run);
      if (this.draining) {
        this.#outbox.release(run);
      } else if (this.#atWork < this.#size) {
        void this.#perform(run);
      } else {
        this.#waiting.push(run);
      }
    }
  }

  /** Let a run stop; what it reports is dropped if its lease is lost. */
  cancel({ run: name, attempt, reason }: Cancellation): void {
    const run = this.#outbox.held.get(name);
    if (run?.attempt !== attempt) {
      return;
    }
    if (reason === Cancellation_Reason.CANCEL_REQUESTED) {
      run.stop(new RunCancelled(`${name} was cancelled`));
    } else {
      this.#lose(run);
    }
  }

  #lose(run: AnyRun): void {
    this.#log.warn(`${run.name} belongs to this worker no more: its lease was lost`);
    run.lost = true;
    this.#outbox.held.delete(run.name);
    run.stop(new RunCancelled(`the lease of ${run.name} was lost`));
  }

  /** Begin nothing more, and hand back what has not begun. */
  drain(): void {
    this.draining = true;
    this.#waiting.forEach((run) => this.#outbox.release(run));
    this.#waiting = [];
    this.#outbox.wake();
  }

  /** Stop the handlers that heed their signal. Each run ends as FAILED with WorkerStopped. */
  interrupt(): void {
    this.#outbox.held.forEach((run) => run.stop(new WorkerStopped("the worker stopped")));
  }

  async #perform(run: AnyRun): Promise<void> {
    this.#atWork += 1;
    this.#outbox.putReport(run, await this.#outcome(run));
    this.#atWork -= 1;
    const next = this.#waiting.shift();
    if (next) {
      void this.#perform(next);
    }
  }

  async #outcome(run: AnyRun): Promise<outcome.Report> {
    try {
      if (run.cancelled) {
        return outcome.cancelled(run);
      }
      const handler = this.#handlers.get(run.handler) as Handler<unknown>;
      return outcome.succeeded(run, await handler(run));
    } catch (error) {
      if (!run.stopped || !isStop(error, run.stopped)) {
        return outcome.failed(run, error);
      }
      return run.cancelled ? outcome.cancelled(run) : outcome.failed(run, run.stopped);
    }
  }
}

/** Whether an error is how a handler stopped: the reason of its signal, or what others make of an aborted signal. */
function isStop(error: unknown, reason: Error): boolean {
  return error === reason || (error instanceof Error && (error.name === "AbortError" || error.cause === reason));
}
