/** A run in the hands of its handler. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RunCancelled, UnsupportedValue } from "../errors.js";
import { LogEntry_Level, LogEntrySchema } from "../gen/taskwheel/v1/log_entry_pb.js";
import { ProgressSchema, type Progress, type TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import type { Assignment } from "../gen/taskwheel/v1/worker_service_pb.js";
import { clip, payloadOf, toObject, weigh } from "../values.js";
import type { Outbox } from "./outbox.js";

/** A whole entry; its text may fill it. */
const MAX_ENTRY = 64 * 2 ** 10;
const MAX_PROGRESS_MESSAGE = 1024;

/** A run, whatever its payload. */
export type AnyRun = Run<unknown>;

/** A run, as its handler is given it. */
export class Run<P = JsonObject> {
  /** All that the run carried when it was assigned. */
  readonly taskRun: TaskRun;
  /** Writes lines that callers can follow. */
  readonly log: RunLog = new RunLog(this);
  /** @internal */
  readonly leaseToken: string;
  /** @internal Whether what it reports is dropped, since its lease has ended. */
  lost = false;
  /** @internal What was last told of its progress. */
  progressed: Progress | undefined;
  readonly #outbox: Outbox;
  #aborting: AbortController | undefined;
  #reason: Error | undefined;

  /** @internal */
  constructor(assignment: Assignment, outbox: Outbox) {
    this.taskRun = assignment.run!;
    this.leaseToken = assignment.leaseToken;
    this.#outbox = outbox;
  }

  /** Its full name. */
  get name(): string {
    return this.taskRun.name;
  }

  /** Its identity. */
  get uid(): string {
    return this.taskRun.uid;
  }

  /** The number of the attempt, from 1. */
  get attempt(): number {
    return this.taskRun.attempt;
  }

  /** The full name of its task at admission. */
  get task(): string {
    return this.taskRun.task;
  }

  /** The name of its handler. */
  get handler(): string {
    return this.taskRun.handler;
  }

  /** What the handler is given; empty when there is nothing. */
  get payload(): P {
    return (payloadOf(this.taskRun) ?? {}) as P;
  }

  /** Its tags. */
  get tags(): string[] {
    return this.taskRun.tags;
  }

  /** Its labels. */
  get labels(): Record<string, string> {
    return this.taskRun.labels;
  }

  /**
   * Aborted when the handler is to stop: the run was cancelled, or belongs to this worker no more (the reason is
   * RunCancelled), or the worker stops (WorkerStopped). To stop, let the reason pass: hand the signal to `fetch` and the
   * like, or call `run.signal.throwIfAborted()`.
   */
  get signal(): AbortSignal {
    // Most handlers do not ask, and to make one takes longer than the rest of a run.
    if (!this.#aborting) {
      this.#aborting = new AbortController();
      if (this.#reason) {
        this.#aborting.abort(this.#reason);
      }
    }
    return this.#aborting.signal;
  }

  /** Whether the handler is to stop because the run was cancelled, or belongs to this worker no more. */
  get cancelled(): boolean {
    return this.#reason instanceof RunCancelled;
  }

  /** @internal Let the handler stop; the first reason holds. */
  stop(reason: Error): void {
    this.#reason ??= reason;
    this.#aborting?.abort(this.#reason);
  }

  /** @internal Why the handler was told to stop. */
  get stopped(): Error | undefined {
    return this.#reason;
  }

  /**
   * Tell how far the run has come; sent at most ten times a second, the last one always.
   *
   * @param ratio the part of the work that is done, 0 to 1.
   * @param message what is being done, for people, up to 1,024 characters.
   * @throws RangeError ratio is not between 0 and 1.
   */
  progress(ratio: number, message = ""): void {
    if (!(ratio >= 0 && ratio <= 1)) {
      throw new RangeError(`the ratio must be between 0 and 1, not ${ratio}`);
    }
    // Characters of Unicode are counted, not halves of surrogate pairs.
    const text = message.length > MAX_PROGRESS_MESSAGE ? [...message].slice(0, MAX_PROGRESS_MESSAGE).join("") : message;
    this.progressed = create(ProgressSchema, { ratio, message: text.toWellFormed() });
    this.#outbox.tellProgress(this);
  }

  /** @internal Write one line; text beyond 64 KiB is cut, and fields that do not fit beside it are left out. */
  write(level: LogEntry_Level, message: string, fields?: object): void {
    const entry = create(LogEntrySchema, { level, message: clip(String(message), MAX_ENTRY), time: timestampNow() });
    if (fields) {
      const carried = json(fields);
      if (Buffer.byteLength(entry.message) + weigh(carried) <= MAX_ENTRY) {
        entry.fields = carried;
      }
    }
    this.#outbox.putEntry(this, entry);
  }
}

/** Fields as JSON, those that it does not have as text: a line is not worth an error. */
function json(fields: object): JsonObject {
  try {
    return toObject(fields);
  } catch (error) {
    if (!(error instanceof UnsupportedValue)) {
      throw error;
    }
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, clip(String(value), MAX_ENTRY)]));
  }
}

/** Writes lines to the log of a run, each with a text and any JSON values by name. */
export class RunLog {
  readonly #run: Pick<AnyRun, "write">;

  /** @internal */
  constructor(run: Pick<AnyRun, "write">) {
    this.#run = run;
  }

  /** Write what helps to look for a fault. */
  debug(message: string, fields?: object): void {
    this.#run.write(LogEntry_Level.DEBUG, message, fields);
  }

  /** Write how the work goes on. */
  info(message: string, fields?: object): void {
    this.#run.write(LogEntry_Level.INFO, message, fields);
  }

  /** Write what should be looked at, and did not stop the work. */
  warning(message: string, fields?: object): void {
    this.#run.write(LogEntry_Level.WARNING, message, fields);
  }

  /** Write a fault. */
  error(message: string, fields?: object): void {
    this.#run.write(LogEntry_Level.ERROR, message, fields);
  }
}
