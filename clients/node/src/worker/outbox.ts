/**
 * What a worker has to send, and what it has sent that is not acknowledged.
 *
 * Handlers put things in; one writer takes frames out. The order of things is kept, since the log of a run must not
 * arrive after its result. A result leaves `unacknowledged` only when the server has stored it, so that a broken stream
 * loses none: `restore` puts what was under way back in front.
 */
import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { LogEntry } from "../gen/taskwheel/v1/log_entry_pb.js";
import {
  AppendLogsRequestSchema,
  LeaseSchema,
  WorkRequestSchema,
  type AppendLogsRequest,
  type Lease,
  type WorkRequest,
} from "../gen/taskwheel/v1/worker_service_pb.js";
import { weigh } from "../values.js";
import type { Report } from "./outcome.js";
import type { AnyRun } from "./run.js";

// The bounds of one request; a whole message may have 4 MiB.
const MAX_ITEMS = 1000;
const MAX_BYTES = 3 * 2 ** 20;

/** Names and tokens beside what an item weighs itself. */
const OVERHEAD = 200;

const PROGRESS_INTERVAL = 100;

type Item = { run: AnyRun } & ({ report: Report } | { entry: LogEntry } | { lease: Lease });

/** The bounded frames of one worker. */
export class Outbox {
  /** The runs of this worker that have no result on its way yet, by name. */
  readonly held = new Map<string, AnyRun>();
  /** Results and releases that were sent, by the name of the run. */
  readonly unacknowledged = new Map<string, Item>();
  #queue: Item[] = [];
  #taken = 0;
  readonly #renewals = new Map<string, AnyRun>();
  readonly #progressed = new Map<string, AnyRun>();
  #telling: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #woken = false;

  /** Whether all has been sent, and acknowledged where that is due. */
  get empty(): boolean {
    return this.#taken === this.#queue.length && !this.#renewals.size && !this.unacknowledged.size;
  }

  /** Send a result. */
  putReport(run: AnyRun, report: Report): void {
    if (this.#progressed.has(run.name)) {
      this.#renewals.set(run.name, run);
    }
    this.#put({ run, report });
  }

  /** Send a line of a log. */
  putEntry(run: AnyRun, entry: LogEntry): void {
    this.#put({ run, entry });
  }

  /** Hand a run back that was not begun. */
  release(run: AnyRun): void {
    this.#put({ run, lease: leaseOf(run) });
  }

  #put(item: Item): void {
    this.#queue.push(item);
    this.wake();
  }

  /** Send the progress of a run, soon. */
  tellProgress(run: AnyRun): void {
    this.#progressed.set(run.name, run);
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      this.#progressed.forEach((each, name) => this.#renewals.set(name, each));
      this.wake();
    }, PROGRESS_INTERVAL);
  }

  /** Renew all leases. */
  renew(): void {
    this.held.forEach((run, name) => this.#renewals.set(name, run));
    this.wake();
  }

  /** Let the writer look again. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Wait until there may be something to send, and for what handlers that end at the same time have to say. */
  async changed(): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    await turn();
    this.#woken = false;
  }

  /** Begin anew on another stream: what is not acknowledged goes first, and all leases are renewed. */
  restore(): void {
    this.#queue = [...this.unacknowledged.values(), ...this.#queue.slice(this.#taken)];
    this.#taken = 0;
    this.unacknowledged.clear();
    this.held.forEach((run, name) => this.#renewals.set(name, run));
  }

  /** The result or the release of a run is stored, or came too late. */
  acknowledge(name: string): void {
    this.unacknowledged.delete(name);
  }

  /** Forget the timers: nothing is sent any more. */
  close(): void {
    clearTimeout(this.#telling);
  }

  /**
   * The next request to send; undefined when there is nothing.
   *
   * Renewals go by themselves, before what is queued: the last progress of a run must not come after its result.
   */
  frame(): WorkRequest | undefined {
    if (this.#renewals.size) {
      return this.#renewalFrame();
    }
    const request = create(WorkRequestSchema);
    const logs = new Map<string, AppendLogsRequest>();
    let items = 0;
    let size = 0;
    for (; this.#taken < this.#queue.length && items < MAX_ITEMS; this.#taken++) {
      const item = this.#queue[this.#taken]!;
      const { run } = item;
      size += weight(item) + OVERHEAD;
      if (items && size > MAX_BYTES) {
        break;
      }
      if (run.lost) {
        continue;
      }
      items += 1;
      if ("entry" in item) {
        let log = logs.get(run.name);
        if (!log) {
          const { name, attempt, leaseToken } = run;
          log = create(AppendLogsRequestSchema, { run: name, attempt, leaseToken });
          logs.set(run.name, log);
          request.logs.push(log);
        }
        log.entries.push(item.entry);
        continue;
      }
      this.held.delete(run.name);
      this.unacknowledged.set(run.name, item);
      if ("report" in item) {
        request.results.push(item.report.result);
      } else {
        request.releases.push(item.lease);
      }
    }
    if (this.#taken === this.#queue.length) {
      this.#queue = [];
      this.#taken = 0;
    }
    return items ? request : undefined;
  }

  #renewalFrame(): WorkRequest {
    const request = create(WorkRequestSchema);
    for (const [name, run] of this.#renewals) {
      if (request.renewals.length === MAX_ITEMS) {
        break;
      }
      this.#renewals.delete(name);
      this.#progressed.delete(name);
      request.renewals.push(leaseOf(run));
    }
    return request;
  }
}

function leaseOf({ name, attempt, leaseToken, progressed }: AnyRun): Lease {
  return create(LeaseSchema, { run: name, attempt, leaseToken, ...(progressed && { progress: progressed }) });
}

function weight(item: Item): number {
  if ("report" in item) {
    return item.report.weight;
  }
  if ("entry" in item) {
    return weigh(item.entry.message) + (item.entry.fields ? weigh(item.entry.fields) : 0);
  }
  return 0;
}
