/** The connection to a server: where to, as whom, how long, and how often. */
import type { SecureClientSessionOptions } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, type CallOptions, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ResourceExhausted, rpcError, TaskwheelError, Unavailable, UnsupportedValue, type RpcError } from "./errors.js";
import { AdminService } from "./gen/taskwheel/v1/admin_service_pb.js";
import { EventService } from "./gen/taskwheel/v1/event_service_pb.js";
import { TaskRunService } from "./gen/taskwheel/v1/task_run_service_pb.js";
import { TaskService } from "./gen/taskwheel/v1/task_service_pb.js";
import { WorkerService } from "./gen/taskwheel/v1/worker_service_pb.js";

/** What goes with each call, such as an authorization: fixed, or asked for anew each time. */
export type Metadata = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);

/** Where a client or a worker connects to, and as whom. */
export interface ConnectionOptions {
  /** Host and port; default the environment variable TASKWHEEL_ADDRESS, else `localhost:7420`. */
  address?: string | undefined;
  /**
   * TLS, off by default. `true`: with the certificate authorities of Node; else options of `tls.connect`, such as `ca`
   * for an authority of your own, `cert` and `key` for mutual TLS, and `servername` for the name in the certificate.
   */
  tls?: boolean | SecureClientSessionOptions | undefined;
  /** Sent with each call, such as `{ authorization: "Bearer …" }`, or a function that is asked each time. */
  metadata?: Metadata | undefined;
  /** Milliseconds until a call without a timeout of its own is DeadlineExceeded; default 10,000. */
  timeout?: number | undefined;
}

/** What a caller may say of a single call. */
export interface CallLimits {
  /** Milliseconds for the call, its repetitions included. */
  timeout?: number | undefined;
  /** Gives the call up; it is then rejected with the reason of the signal. */
  signal?: AbortSignal | undefined;
}

interface Delivery extends CallLimits {
  /** What goes with it; default what the connection says. */
  headers?: Record<string, string>;
  /** Whether it may be sent again when its outcome is unknown. */
  repeatable?: boolean;
}

const TRIES = 4;

// A page ends at 3 MiB, but its last item may be a run with 1 MiB of payload and 1 MiB of result.
const READ_BYTES = 16 * 2 ** 20;
// What the server takes: more is refused before it is sent.
const WRITE_BYTES = 4 * 2 ** 20;

/** What a timer can wait, in milliseconds; Node takes more for nothing. */
export const LONGEST = 2 ** 31 - 1;

/** What the timeout of a call can say, in milliseconds: 8 digits. */
const LONGEST_CALL = 99_999_999;

// A dead peer is noticed within 40 s, also on an idle stream. A connection without streams is tried before its next call;
// pings meanwhile would go on past its end, and break the process with what they throw.
const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** The services of the contract, as they were generated. */
export interface Services {
  readonly tasks: Client<typeof TaskService>;
  readonly runs: Client<typeof TaskRunService>;
  readonly events: Client<typeof EventService>;
  readonly workers: Client<typeof WorkerService>;
  readonly admin: Client<typeof AdminService>;
}

/** One HTTP/2 connection, which is opened with the first call and again after it broke. */
export class Transport implements Services {
  readonly address: string;
  readonly timeout: number;
  /** Whether the server ever did. */
  answered = false;
  readonly tasks: Client<typeof TaskService>;
  readonly runs: Client<typeof TaskRunService>;
  readonly events: Client<typeof EventService>;
  readonly workers: Client<typeof WorkerService>;
  readonly admin: Client<typeof AdminService>;
  readonly #metadata: Metadata;
  readonly #session: Http2SessionManager;
  #closed = false;

  constructor({ address, tls, metadata = {}, timeout = 10_000 }: ConnectionOptions) {
    this.address = address || process.env["TASKWHEEL_ADDRESS"] || "localhost:7420";
    const baseUrl = `${tls ? "https" : "http"}://${this.address}`;
    if (this.address.includes("/") || !URL.canParse(baseUrl)) {
      throw new RangeError(`the address must be host:port, not ${JSON.stringify(this.address)}`);
    }
    this.timeout = timeout;
    this.#metadata = metadata;
    // Node's own bound would refuse calls beside a few large messages.
    const options = { maxSessionMemory: 1000, ...(typeof tls === "object" && tls) };
    this.#session = new Http2SessionManager(baseUrl, KEEPALIVE, options);
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#session,
      acceptCompression: [],
      readMaxBytes: READ_BYTES,
      writeMaxBytes: WRITE_BYTES,
    });
    this.tasks = createClient(TaskService, transport);
    this.runs = createClient(TaskRunService, transport);
    this.events = createClient(EventService, transport);
    this.workers = createClient(WorkerService, transport);
    this.admin = createClient(AdminService, transport);
  }

  /** What goes with the next call. Throws TaskwheelError once the connection was closed: a call would open it again. */
  async headers(): Promise<Record<string, string>> {
    this.#checkOpen();
    return typeof this.#metadata === "function" ? await this.#metadata() : this.#metadata;
  }

  /**
   * Answer one call. What could not be delivered, or was refused for now, is sent up to 4 times, if `repeatable`;
   * otherwise only while it got nowhere. Throws RpcError.
   */
  async call<T>(rpc: (options: CallOptions) => Promise<T>, delivery: Delivery = {}): Promise<T> {
    const { timeout = this.timeout, signal, repeatable = true } = delivery;
    const deadline = performance.now() + timeout;
    const headers = delivery.headers ?? (await this.headers());
    for (let tries = 1; ; tries++) {
      try {
        const timeoutMs = Math.min(Math.max(Math.ceil(deadline - performance.now()), 1), LONGEST_CALL);
        const answer = await rpc({ headers, timeoutMs, ...(signal && { signal }) });
        this.answered = true;
        return answer;
      } catch (cause) {
        const error = failure(cause, signal);
        const again = error instanceof Unavailable && (repeatable || error.unsent);
        const pause = Math.max(50 * 2 ** tries * (0.5 + Math.random() / 2), (again && error.retryAfter) || 0);
        if (!again || tries === TRIES || performance.now() + pause >= deadline) {
          throw error;
        }
        await pass(pause, signal);
        this.#checkOpen();
      }
    }
  }

  /**
   * Answer the responses of a stream, until the server ends them or the caller stops. Throws RpcError.
   *
   * @param limits `timeout`: how long the first response may take, any time by default.
   */
  async *stream<T>(
    rpc: (options: CallOptions) => AsyncIterable<T>,
    { timeout = Infinity, signal }: CallLimits,
  ): AsyncGenerator<T> {
    const headers = await this.headers();
    const ending = new AbortController();
    const both = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal;
    const timer = setTimeout(() => ending.abort(), Math.min(timeout, LONGEST));
    if (timeout === Infinity) {
      clearTimeout(timer);
    }
    try {
      for await (const response of rpc({ headers, signal: both })) {
        clearTimeout(timer);
        yield response;
      }
    } catch (cause) {
      throw ending.signal.aborted ? tooLate() : failure(cause, signal);
    } finally {
      clearTimeout(timer);
      ending.abort();
    }
  }

  /** End the connection, and all that goes on over it. */
  close(): void {
    this.#closed = true;
    this.#session.abort();
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new TaskwheelError("the connection was closed");
    }
  }
}

/** Let some milliseconds pass. Throws the reason of the signal as soon as it is aborted. */
export async function pass(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

/** The error of a caller's own clock. */
export function tooLate(): RpcError {
  return rpcError(new ConnectError("there was no answer in time", Code.DeadlineExceeded));
}

function failure(cause: unknown, signal: AbortSignal | undefined): TaskwheelError {
  signal?.throwIfAborted();
  const unsent = cause instanceof ConnectError && NO_MESSAGE.exec(cause.rawMessage);
  return unsent ? new UnsupportedValue(unsent[2] ?? "not of the type of this field", unsent[1]!) : rpcError(cause);
}

/** What the transport says of a value that the field of a message does not take. */
const NO_MESSAGE = /^serialize binary: cannot (?:encode|use) field (\S+) (?:to binary: (.*)|with message)/;

/** Whether a stream that ended so may be taken up again. */
export function isBroken(error: unknown): error is RpcError {
  return error instanceof Unavailable || (error instanceof ResourceExhausted && error.reason === "SUBSCRIBER_TOO_SLOW");
}
