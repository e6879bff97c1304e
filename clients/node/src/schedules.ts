/**
 * Schedules and policies, made from JavaScript values. Their rules are the server's, which names the field at fault.
 * Lengths of time are milliseconds.
 */
import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { RetryPolicySchema, type RetryPolicy } from "./gen/taskwheel/v1/retry_policy_pb.js";
import {
  MisfirePolicy_Mode,
  MisfirePolicySchema,
  Schedule_DstGap,
  Schedule_DstOverlap,
  ScheduleSchema,
  type MisfirePolicy,
  type Schedule,
} from "./gen/taskwheel/v1/schedule_pb.js";
import { member, toDuration, toTimestamp, type Instant } from "./values.js";

/** When a schedule begins and ends, and by how much its runs spread. */
export interface ScheduleBounds {
  /** The first instant that may be a slot; default now. */
  startTime?: Instant;
  /** No slot lies at or after it. */
  endTime?: Instant;
  /** The greatest delay of a run after its slot. */
  jitter?: number;
}

/** How a cron expression is read. */
export interface CronOptions extends ScheduleBounds {
  /** The IANA name of the zone it is read in; default UTC. */
  timeZone?: string;
  /** What becomes of a slot whose wall-clock time does not exist. */
  dstGap?: "RUN_AFTER_GAP" | "SKIP";
  /** What becomes of a slot whose wall-clock time comes twice. */
  dstOverlap?: "FIRST" | "BOTH";
}

/** A schedule by a cron expression of five fields, or `@daily` and the like, in the dialect of Debian's crontab(5). */
export function cron(expression: string, { timeZone, dstGap, dstOverlap, ...bounds }: CronOptions = {}): Schedule {
  return create(ScheduleSchema, {
    spec: { case: "cron", value: expression },
    ...bounded(bounds),
    ...(timeZone && { timeZone }),
    ...(dstGap && { dstGap: member(Schedule_DstGap, dstGap) }),
    ...(dstOverlap && { dstOverlap: member(Schedule_DstOverlap, dstOverlap) }),
  });
}

/** A schedule with a fixed distance between slots, at least 1,000, anchored at startTime or else at its edit. */
export function every(interval: number, bounds: ScheduleBounds = {}): Schedule {
  return create(ScheduleSchema, { spec: { case: "interval", value: toDuration(interval) }, ...bounded(bounds) });
}

/** A schedule of a single instant, which must lie ahead. */
export function at(instant: Instant, { jitter }: { jitter?: number } = {}): Schedule {
  return create(ScheduleSchema, { spec: { case: "at", value: toTimestamp(instant) }, ...bounded({ jitter }) });
}

function bounded({ startTime, endTime, jitter }: { [name in keyof ScheduleBounds]: ScheduleBounds[name] | undefined }) {
  return {
    ...(startTime && { startTime: toTimestamp(startTime) }),
    ...(endTime && { endTime: toTimestamp(endTime) }),
    ...(jitter !== undefined && { jitter: toDuration(jitter) }),
  };
}

/** How failed attempts are tried again. */
export interface RetryOptions {
  /** The delay after each attempt; the last one repeats. Without them delays grow by a factor. */
  delays?: number[];
  /** The delay after the first attempt; default 1,000. */
  initialDelay?: number;
  /** The factor between one delay and the next; default 2. */
  multiplier?: number;
  /** The greatest delay; default 10 minutes. */
  maxDelay?: number;
  /** The largest part of each delay that chance may take away, 0 to 1. */
  jitterRatio?: number;
  /** The names of the errors to retry; default every error. */
  only?: string[];
  /** The names of errors not to retry. */
  never?: string[];
  /** Whether to retry a run whose worker was lost, and which may have done its work. */
  onLost?: boolean;
}

/**
 * A retry policy of `maxAttempts` attempts in all, the first included.
 *
 * @throws RangeError delays from a list and delays that grow are both given.
 */
export function retry(maxAttempts: number, options: RetryOptions = {}): RetryPolicy {
  const { delays, initialDelay, multiplier, maxDelay, jitterRatio = 0, only, never, onLost = false } = options;
  const grows = [initialDelay, multiplier, maxDelay].some((given) => given !== undefined);
  if (delays?.length && grows) {
    throw new RangeError("delays come from a list or grow by a factor, not both");
  }
  const length = (given: number | undefined): Duration | undefined =>
    given === undefined ? undefined : toDuration(given);
  return create(RetryPolicySchema, {
    maxAttempts,
    jitterRatio,
    retryableErrorNames: only ?? [],
    nonRetryableErrorNames: never ?? [],
    retryOnLost: onLost,
    ...(delays?.length && {
      backoff: { case: "fixedDelays", value: { delays: delays.map((delay) => toDuration(delay)) } },
    }),
    ...(grows && {
      backoff: {
        case: "exponentialBackoff",
        value: { initialDelay: length(initialDelay), multiplier, maxDelay: length(maxDelay) },
      },
    }),
  });
}

/** What to do about slots that were missed. */
export function misfire(
  mode: "RUN_ONCE" | "RUN_ALL" | "SKIP",
  { catchupWindow, maxCatchupRuns = 0 }: { catchupWindow?: number; maxCatchupRuns?: number } = {},
): MisfirePolicy {
  return create(MisfirePolicySchema, {
    mode: member(MisfirePolicy_Mode, mode),
    maxCatchupRuns,
    ...(catchupWindow !== undefined && { catchupWindow: toDuration(catchupWindow) }),
  });
}
