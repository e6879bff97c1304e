/** What the client answered or threw, as JSON. */
import { createRegistry, fromJson, isMessage, toJson, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { durationMs, TimestampSchema, type Timestamp } from "@bufbuild/protobuf/wkt";
import {
  RequestTooLarge,
  RpcError,
  RunFailed,
  RunNotDone,
  UnsupportedValue,
  type RunRequest,
  type TaskFields,
} from "taskwheel";
import { file_taskwheel_v1_admin_service } from "taskwheel/v1/admin_service";
import { file_taskwheel_v1_event } from "taskwheel/v1/event";
import { file_taskwheel_v1_log_entry } from "taskwheel/v1/log_entry";
import { file_taskwheel_v1_task, TaskSchema, type Task } from "taskwheel/v1/task";
import { file_taskwheel_v1_task_run } from "taskwheel/v1/task_run";
import { file_taskwheel_v1_task_service } from "taskwheel/v1/task_service";

const REGISTRY = createRegistry(
  file_taskwheel_v1_admin_service,
  file_taskwheel_v1_event,
  file_taskwheel_v1_log_entry,
  file_taskwheel_v1_task,
  file_taskwheel_v1_task_run,
  file_taskwheel_v1_task_service,
);

/** An object of the table. */
export type Args = Record<string, JsonValue>;

/** A line from the runner, in which integers that a number would not hold are bigints, as a user would have them. */
export function parse(line: string): unknown {
  const exact = line.replace(STRING_OR_NUMBER, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${BIGINT}${token}"` : token,
  );
  return JSON.parse(exact, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(BIGINT) ? BigInt(value.slice(BIGINT.length)) : value,
  );
}

const STRING_OR_NUMBER = /"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const BIGINT = "bigint:";

/** Messages, alone or in lists, in the proto3 JSON form; JSON as it is. */
export function jsonOf(value: unknown): JsonValue {
  if (Array.isArray(value)) {
    return value.map(jsonOf);
  }
  return isMessage(value)
    ? toJson(REGISTRY.getMessage(value.$typeName) as DescMessage, value)
    : ((value ?? null) as JsonValue);
}

/** An error of the client, as the README has it; one that is not the client's has its class as `unexpected`. */
export function errorOf(error: unknown): JsonValue {
  return JSON.parse(JSON.stringify({ message: String(error), ...told(error) })) as JsonValue;
}

function told(error: unknown): object {
  if (error instanceof RunFailed) {
    return { reason: "RUN_FAILED", run: jsonOf(error.run) };
  }
  if (error instanceof RunNotDone) {
    return { reason: "RUN_NOT_DONE", run: jsonOf(error.run) };
  }
  if (error instanceof UnsupportedValue) {
    return { reason: "UNSUPPORTED_VALUE", fields: [error.path] };
  }
  if (error instanceof RequestTooLarge) {
    return { reason: "REQUEST_TOO_LARGE" };
  }
  if (error instanceof RpcError) {
    const { code, reason, metadata } = error;
    return {
      code,
      ...(reason && { reason }),
      ...(Object.keys(metadata).length && { metadata }),
      ...("fields" in error && { fields: Object.keys(error.fields as object) }),
      ...("retryAfter" in error && error.retryAfter !== undefined && { retry_after: Number(error.retryAfter) / 1000 }),
    };
  }
  return { unexpected: error instanceof Error ? error.constructor.name : typeof error };
}

/** The fields of a task as the client takes them, of those in proto3 JSON. */
export function taskFields(task: Args): TaskFields {
  const given = Object.entries(task);
  const message = fromJson(TaskSchema, Object.fromEntries(given.filter(([, value]) => value !== null)));
  return Object.fromEntries(
    given.map(([name, value]) => {
      if (name === "worker") {
        return ["handler", message.target.value?.handler];
      }
      return [name, value === null ? null : field(message, name, value)];
    }),
  );
}

function field(message: Task, name: string, value: JsonValue): unknown {
  switch (name) {
    case "schedules":
    case "retryPolicy":
    case "misfirePolicy":
      return message[name];
    case "runTimeout":
    case "startDeadline":
      return durationMs(message[name]!);
    default:
      return value;
  }
}

/** A time as the table has it. */
export function instantOf(time: JsonValue): Timestamp {
  return fromJson(TimestampSchema, time);
}

/** Arguments as the client takes them: names in camelCase, times as Timestamps, lengths of time in milliseconds. */
export function optionsOf(args: Args): object {
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => {
      const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      if (name === "timeout" || name === "grace") {
        return [camel, Number(value) * 1000];
      }
      return [camel, name.endsWith("_time") ? instantOf(value) : value];
    }),
  );
}

/** A run to start. */
export function runRequest(args: Args): RunRequest {
  return optionsOf(args) as RunRequest;
}
