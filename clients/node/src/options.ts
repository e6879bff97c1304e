/** What the methods of a client can be told. */
import type { ConnectionOptions } from "./transport.js";

/** Where a client connects to, and how it starts runs. */
export interface ClientOptions extends ConnectionOptions {
  /**
   * Whether runs that are started with a payload while others are on their way go together, in one BatchRunTasks, as
   * soon as those are answered; default true. Each call keeps its own answer, error and deadline, and one that finds
   * nothing on its way goes at once.
   */
  coalesce?: boolean | undefined;
}

/** What to list, in which order, and how much at a time. */
export interface ListOptions {
  /** An AIP-160 filter, such as `task = nightly AND state = FAILED`. */
  filter?: string | undefined;
  /** Such as `end_time desc`; default newest first. */
  orderBy?: string | undefined;
  /** How many are asked for at a time, up to 1,000; default 50. */
  pageSize?: number | undefined;
  /** Gives the listing up. */
  signal?: AbortSignal | undefined;
}

/** What to list of runs. */
export interface ListRunsOptions extends ListOptions {
  /** Whether they carry payload, result and stack. */
  full?: boolean | undefined;
}

/** Which entries of a log to read. */
export interface FollowLogsOptions {
  after?: bigint | undefined;
  follow?: boolean | undefined;
  followRetries?: boolean | undefined;
  minLevel?: "DEBUG" | "INFO" | "WARNING" | "ERROR" | undefined;
  signal?: AbortSignal | undefined;
}
