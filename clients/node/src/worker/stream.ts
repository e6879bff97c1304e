/** One Work stream, from hello to its end. */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { rpcError } from "../errors.js";
import {
  Acknowledgement_Status,
  WorkRequestSchema,
  type Hello,
  type WorkRequest,
  type WorkResponse,
} from "../gen/taskwheel/v1/worker_service_pb.js";
import type { Transport } from "../transport.js";
import type { Executor, WorkerLog } from "./executor.js";
import type { Outbox } from "./outbox.js";

/** A server that was told there is no more ends the stream at once. */
const LAST_WORD = 5000;

/**
 * A Work stream: brings assignments to the executor and takes frames from the outbox.
 *
 * It ends when the server ends it; after goaway, once all that was reported is acknowledged; and when the executor
 * drains, once no run is left either.
 */
export class Stream {
  /** Whether the server has taken the worker on. */
  welcomed = false;
  readonly #transport: Transport;
  readonly #hello: Hello;
  readonly #outbox: Outbox;
  readonly #executor: Executor;
  readonly #log: WorkerLog;
  readonly #ending = new AbortController();
  #goaway = false;
  #renewing: NodeJS.Timeout | undefined;

  constructor(transport: Transport, hello: Hello, outbox: Outbox, executor: Executor, log: WorkerLog) {
    this.#transport = transport;
    this.#hello = hello;
    this.#outbox = outbox;
    this.#executor = executor;
    this.#log = log;
  }

  /** Work until the stream ends. Throws RpcError when it breaks. */
  async work(): Promise<void> {
    this.#outbox.restore();
    try {
      const options = { headers: await this.#transport.headers(), signal: this.#ending.signal };
      for await (const response of this.#transport.workers.work(this.#requests(), options)) {
        this.#receive(response);
      }
    } catch (cause) {
      if (!this.#ending.signal.aborted) {
        throw rpcError(cause);
      }
    } finally {
      clearInterval(this.#renewing);
      this.end();
    }
  }

  /** End the stream now, whatever is under way. */
  end(): void {
    this.#ending.abort();
    this.#outbox.wake();
  }

  #receive(response: WorkResponse): void {
    if (response.welcome) {
      this.welcomed = true;
      this.#log.info(`${this.#hello.workerId} is connected to ${this.#transport.address}`);
      const lease = durationMs(response.welcome.leaseDuration!);
      this.#renewing = setInterval(() => this.#outbox.renew(), lease / 3);
      this.#outbox.wake();
    }
    this.#executor.assign(response.assignments);
    for (const { run, status } of response.acknowledgements) {
      this.#outbox.acknowledge(run);
      if (status === Acknowledgement_Status.LEASE_LOST) {
        this.#log.warn(`${run}: the result came after its lease had ended`);
      }
    }
    response.cancellations.forEach((cancellation) => this.#executor.cancel(cancellation));
    this.#goaway ||= response.goaway;
    if (this.#goaway || this.#executor.draining) {
      this.#outbox.wake();
    }
  }

  async *#requests(): AsyncGenerator<WorkRequest> {
    yield create(WorkRequestSchema, { hello: this.#hello });
    let toldToDrain = false;
    while (!this.#finished) {
      await this.#outbox.changed();
      // A log entry is gone once it is written: not to a server that takes none.
      if (this.#ending.signal.aborted || !this.welcomed) {
        continue;
      }
      if (this.#executor.draining && !toldToDrain) {
        toldToDrain = true;
        yield create(WorkRequestSchema, { drain: true });
      }
      for (let frame = this.#outbox.frame(); frame; frame = this.#outbox.frame()) {
        yield frame;
      }
    }
    void sleep(LAST_WORD, undefined, { signal: this.#ending.signal }).then(
      () => this.end(),
      () => undefined,
    );
  }

  get #finished(): boolean {
    if (this.#ending.signal.aborted) {
      return true;
    }
    return this.#outbox.empty && (this.#goaway || (this.#executor.draining && !this.#outbox.held.size));
  }
}
