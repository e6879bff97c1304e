/**
 * What can go wrong, named by condition.
 *
 *     TaskwheelError
 *     ├── RpcError              what the server answered, or that it did not; itself for codes not listed here
 *     │   ├── InvalidArgument       fields of the request break their rules: `fields`
 *     │   ├── NotFound              the task or the run is not there, or no longer kept
 *     │   ├── AlreadyExists         the id or the requestId belongs to something else
 *     │   ├── FailedPrecondition    the state of the thing forbids the call
 *     │   ├── Aborted               the caller's view is stale: an etag or a lease that is not current any more
 *     │   ├── OutOfRange            a cursor outside what is kept
 *     │   ├── ResourceExhausted     a bound was reached: `retryAfter`
 *     │   ├── RequestTooLarge       a request beyond 4 MiB; nothing was done
 *     │   ├── Unavailable           no answer now: `retryAfter`
 *     │   ├── DeadlineExceeded      no answer in time; the outcome is unknown
 *     │   ├── Unauthenticated       the credentials are missing or not valid
 *     │   ├── PermissionDenied      the credentials do not suffice
 *     │   └── Unimplemented         the server is older than the call
 *     ├── RunFailed             a run that was waited for ended otherwise than SUCCEEDED: `run`
 *     ├── RunNotDone            the caller's deadline passed first; the run goes on: `run`
 *     ├── RunCancelled          the reason of the signal of a run that is to stop
 *     ├── WorkerStopped         the reason of that signal when the worker stops
 *     └── UnsupportedValue      a value that the API cannot carry: `path`
 *
 * A caller who aborts a call by a signal meets the reason of that signal.
 */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { TaskRun_State, type TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";

/** The root of all errors of this package. */
export class TaskwheelError extends Error {
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The reasons that servers give, and others that may be added. */
export type Reason =
  | "INVALID_FIELD"
  | "INVALID_SCHEDULE"
  | "INVALID_RETRY_POLICY"
  | "TOO_MANY_SLOTS"
  | "MALFORMED_REQUEST"
  | "TASK_NOT_FOUND"
  | "RUN_NOT_FOUND"
  | "RUN_EXPIRED"
  | "NAMESPACE_NOT_FOUND"
  | "TASK_ALREADY_EXISTS"
  | "REQUEST_ID_REUSED"
  | "RUN_DONE"
  | "RUN_STARTED"
  | "NO_SCHEDULES"
  | "SCHEDULE_UNREADABLE"
  | "ETAG_MISMATCH"
  | "LEASE_LOST"
  | "EVENTS_COMPACTED"
  | "SEQUENCE_AHEAD"
  | "MAILBOX_FULL"
  | "SUBSCRIBER_TOO_SLOW"
  | "SHUTTING_DOWN"
  | "STORE_BUSY"
  | "STORE_UNAVAILABLE"
  | (string & {});

/** An error that the server answered, or the lack of an answer. */
export class RpcError extends TaskwheelError {
  /** Why, in UPPER_SNAKE, stable, for programs; empty when none was sent, as for errors of the connection. */
  readonly reason: Reason;
  /** Every changing part of the message, by name. */
  readonly metadata: Readonly<Record<string, string>>;

  /**
   * @param code the gRPC status code, such as `NOT_FOUND`.
   * @param description why, in English, for people.
   * @param failed what the transport says of it, with all the google.rpc messages that came.
   */
  constructor(
    readonly code: string,
    readonly description: string,
    protected readonly failed: ConnectError,
  ) {
    const info = failed.findDetails(ErrorInfoSchema)[0];
    super(`${description} [${info?.reason || code}]`, { cause: failed });
    this.reason = info?.reason ?? "";
    this.metadata = { ...info?.metadata };
  }
}

class Retryable extends RpcError {
  /** How long to wait before the next try, in milliseconds; `undefined` when the server did not say. */
  get retryAfter(): number | undefined {
    const delay = this.failed.findDetails(RetryInfoSchema)[0]?.retryDelay;
    return (delay && durationMs(delay)) || undefined;
  }
}

/** Fields of the request break their rules, whatever the state of the server. */
export class InvalidArgument extends RpcError {
  /** What is wrong with each field at fault, by its path, such as `task.schedules[0].cron`. */
  get fields(): Record<string, string> {
    const violations = this.failed.findDetails(BadRequestSchema).flatMap((request) => request.fieldViolations);
    return Object.fromEntries(violations.map(({ field, description }) => [field, description]));
  }
}

/** The task or the run is not there: TASK_NOT_FOUND, RUN_NOT_FOUND, or RUN_EXPIRED when it is no longer kept. */
export class NotFound extends RpcError {}

/** The id belongs to another task, or the requestId to another request: REQUEST_ID_REUSED. */
export class AlreadyExists extends RpcError {}

/** The state of the thing forbids the call, such as RUN_DONE. */
export class FailedPrecondition extends RpcError {}

/** The caller acted on what has changed since: an etag or a lease that is not current any more. */
export class Aborted extends RpcError {}

/** A cursor outside what is kept: EVENTS_COMPACTED or SEQUENCE_AHEAD. */
export class OutOfRange extends RpcError {}

/** A bound was reached. */
export class ResourceExhausted extends Retryable {}

/** The request is larger than 4 MiB, all that one message may have; nothing was done. */
export class RequestTooLarge extends RpcError {}

/** The server cannot be reached or cannot answer now. */
export class Unavailable extends Retryable {
  /** Whether there was no connection, and so the request got nowhere: what it would change has not been changed. */
  get unsent(): boolean {
    return errorCodes(this.failed).some((code) => NO_CONNECTION.test(code));
  }

  /** Whether there was a connection, and it broke. */
  get cut(): boolean {
    return !this.reason && !this.unsent;
  }
}

/** The server did not answer in time; what the call would change may have been changed. */
export class DeadlineExceeded extends RpcError {}

/** The credentials are missing or not valid. */
export class Unauthenticated extends RpcError {}

/** The credentials do not suffice. */
export class PermissionDenied extends RpcError {}

/** The server does not know the call. */
export class Unimplemented extends RpcError {}

/** A run ended otherwise than SUCCEEDED. `run` tells how, with its error and its stack. */
export class RunFailed extends TaskwheelError {
  constructor(readonly run: TaskRun) {
    const why = run.error ? `${run.error.name}: ${run.error.message}` : run.stateReason;
    super(`${run.name} ${TaskRun_State[run.state] ?? run.state}${why && `: ${why}`}`);
  }
}

/** The time to wait has passed, and the run goes on. `run` is the run as it was then. */
export class RunNotDone extends TaskwheelError {
  constructor(readonly run: TaskRun) {
    super(`${run.name} is still ${TaskRun_State[run.state] ?? run.state}; it goes on`);
  }
}

/** The reason of the signal of a run that was cancelled, or belongs to its worker no more. */
export class RunCancelled extends TaskwheelError {}

/** The worker stopped before the handler had ended. */
export class WorkerStopped extends TaskwheelError {}

/** A value that cannot be carried as it is. */
export class UnsupportedValue extends TaskwheelError {
  /**
   * @param description what is wrong with it.
   * @param path where in the whole value it stands, such as `payload.items[3]`.
   */
  constructor(
    readonly description: string,
    readonly path = "",
  ) {
    super(path ? `${path}: ${description}` : description);
  }

  /** The same error as seen from the value that holds this one as `part`. */
  within(part: string): UnsupportedValue {
    const joint = !this.path || this.path.startsWith("[") ? "" : ".";
    return new UnsupportedValue(this.description, `${part}${joint}${this.path}`);
  }
}

const BY_CODE: Record<string, typeof RpcError> = {
  INVALID_ARGUMENT: InvalidArgument,
  NOT_FOUND: NotFound,
  ALREADY_EXISTS: AlreadyExists,
  FAILED_PRECONDITION: FailedPrecondition,
  ABORTED: Aborted,
  OUT_OF_RANGE: OutOfRange,
  RESOURCE_EXHAUSTED: ResourceExhausted,
  UNAVAILABLE: Unavailable,
  DEADLINE_EXCEEDED: DeadlineExceeded,
  UNAUTHENTICATED: Unauthenticated,
  PERMISSION_DENIED: PermissionDenied,
  UNIMPLEMENTED: Unimplemented,
};

// The library of gRPC refuses by itself, on either side of the connection.
const TOO_LARGE = /larger than (?:configured writeMaxBytes|max \()/;

// Of the operating system, and of TLS that does not trust the other side.
const NO_CONNECTION =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|EPROTO|UNABLE_TO_.*|ERR_(?:TLS|SSL)_.*|.*CERT.*)$/;

/** The error for a call that failed, with every detail that came with it. */
export function rpcError(cause: unknown): RpcError {
  const failed = ConnectError.from(cause);
  const code = broken(failed) ? "UNAVAILABLE" : codeName(failed.code);
  if (code === "RESOURCE_EXHAUSTED" && TOO_LARGE.test(failed.rawMessage)) {
    return new RequestTooLarge(code, "the request is larger than 4 MiB", failed);
  }
  return new (BY_CODE[code] ?? RpcError)(code, failed.rawMessage || code, failed);
}

/** Whether the connection broke, and so it is not the server that speaks. */
function broken(failed: ConnectError): boolean {
  if (failed.details.length) {
    return false;
  }
  // Of a server that ends, which has cut the call short; a caller who aborts hears of it otherwise.
  return failed.code === Code.Canceled || errorCodes(failed).length > 0 || CUT_SHORT.test(failed.rawMessage);
}

// What the transport says of an answer that ends in the middle.
const CUT_SHORT = /^(?:http\/2 stream closed|protocol error: (?:missing|premature|incomplete)|missing trailer)/;

/** The codes of Node's own errors behind an error, such as ECONNREFUSED. */
function errorCodes(failed: ConnectError): string[] {
  const codes: string[] = [];
  for (let error: unknown = failed.cause; error instanceof Error; error = error.cause) {
    if ("code" in error && typeof error.code === "string") {
      codes.push(error.code);
    }
    if (error instanceof AggregateError) {
      codes.push(...error.errors.map((one: NodeJS.ErrnoException) => one.code ?? ""));
    }
  }
  return codes;
}

/** A code as gRPC writes it. */
function codeName(code: Code): string {
  return code === Code.Canceled ? "CANCELLED" : Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
