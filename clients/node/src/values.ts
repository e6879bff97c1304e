/**
 * JavaScript values to and from those of the API: JSON as google.protobuf.Struct and Value, times, lengths of time.
 *
 * Payloads and results are JSON. What JSON does not have is refused, but for what `JSON.stringify` does about
 * `undefined` names of an object and about `toJSON`, and a bigint up to 2^53 is a number.
 */
import { create, fromJson, toJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import {
  DurationSchema,
  timestampDate,
  timestampFromDate,
  ValueSchema,
  type Duration,
  type Timestamp,
  type Value,
} from "@bufbuild/protobuf/wkt";
import { UnsupportedValue } from "./errors.js";
import { TaskRun_State, type TaskRun } from "./gen/taskwheel/v1/task_run_pb.js";

/** Doubles hold every integer up to here. */
const MAX_INTEGER = 2n ** 53n;

/** The bound of the server. A value that holds itself ends here too. */
const MAX_DEPTH = 32;

/**
 * A JSON object of its own, which later changes of `source` do not touch.
 *
 * @throws UnsupportedValue a part of it is not JSON, or nested deeper than 32 levels; its path begins with `name`.
 */
export function toObject(source: object, name = "payload"): JsonObject {
  const copied = toJsonValue(source, name);
  if (copied === null || typeof copied !== "object" || Array.isArray(copied)) {
    throw new UnsupportedValue("must be an object with names", name);
  }
  return copied;
}

/** A JSON value of its own; `undefined` is null. Throws UnsupportedValue as toObject does. */
export function toJsonValue(source: unknown, name = "result"): JsonValue {
  try {
    return copy(source, 0);
  } catch (error) {
    throw error instanceof UnsupportedValue ? error.within(name) : error;
  }
}

function copy(source: unknown, depth: number): JsonValue {
  switch (typeof source) {
    case "string":
      if (!source.isWellFormed()) {
        throw new UnsupportedValue("not valid Unicode: half of a surrogate pair");
      }
      return source;
    case "number":
      if (!Number.isFinite(source)) {
        throw new UnsupportedValue(`${source} is not a JSON number`);
      }
      return source;
    case "bigint":
      if (source > MAX_INTEGER || source < -MAX_INTEGER) {
        throw new UnsupportedValue("an integer beyond 2^53 would lose digits; send it as a string");
      }
      return Number(source);
    case "boolean":
      return source;
    case "undefined":
      return null;
    case "object":
      return source === null ? null : copyObject(source, depth + 1);
    default:
      throw new UnsupportedValue(`a ${typeof source} is not JSON`);
  }
}

function copyObject(source: object, depth: number): JsonValue {
  if ("toJSON" in source && typeof source.toJSON === "function") {
    return copy(source.toJSON(), depth - 1);
  }
  if (depth > MAX_DEPTH) {
    throw new UnsupportedValue(`nested deeper than ${MAX_DEPTH} levels`);
  }
  if (Array.isArray(source)) {
    return source.map((item, index) => part(item, depth, `[${index}]`));
  }
  const prototype: unknown = Object.getPrototypeOf(source);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new UnsupportedValue(`a ${source.constructor.name} is not JSON`);
  }
  const target: JsonObject = {};
  for (const [key, item] of Object.entries(source)) {
    if (item === undefined) {
      continue;
    }
    if (!key.isWellFormed()) {
      throw new UnsupportedValue("not valid Unicode: half of a surrogate pair").within(JSON.stringify(key));
    }
    const value = part(item, depth, key);
    if (key === "__proto__") {
      // Else it would become the prototype of the copy.
      Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
    } else {
      target[key] = value;
    }
  }
  return target;
}

function part(source: unknown, depth: number, name: string): JsonValue {
  try {
    return copy(source, depth);
  } catch (error) {
    throw error instanceof UnsupportedValue ? error.within(name) : error;
  }
}

/** How many bytes a JSON value has on the wire, or somewhat less. */
export function weigh(value: JsonValue): number {
  if (typeof value === "string") {
    return Buffer.byteLength(value) + 8;
  }
  if (value === null || typeof value !== "object") {
    return 12;
  }
  if (Array.isArray(value)) {
    return value.reduce((total: number, item) => total + weigh(item) + 5, 12);
  }
  let total = 12;
  for (const key in value) {
    total += Buffer.byteLength(key) + 15 + weigh(value[key]!);
  }
  return total;
}

/** A JSON value as google.protobuf.Value. */
export function toValue(value: JsonValue): Value {
  return value === null ? create(ValueSchema, { kind: { case: "nullValue", value: 0 } }) : fromJson(ValueSchema, value);
}

/** What a run was given; `undefined` in views and answers that leave it out. */
export function payloadOf(run: TaskRun): JsonObject | undefined {
  return run.input.value;
}

/** What the handler of a run returned; `undefined` unless it SUCCEEDED, and in views that leave it out. */
export function resultOf(run: TaskRun): JsonValue | undefined {
  return run.output.value && toJson(ValueSchema, run.output.value);
}

/** The name of the state of a run, such as `SUCCEEDED`; of one that this client does not know, its number. */
export function stateOf(run: TaskRun): keyof typeof TaskRun_State | `${number}` {
  return (TaskRun_State[run.state] as keyof typeof TaskRun_State | undefined) ?? `${run.state}`;
}

/** A time, to the millisecond; `undefined` where it is not set. */
export function dateOf<T extends Timestamp | undefined>(time: T): T extends Timestamp ? Date : Date | undefined {
  return (time && timestampDate(time)) as T extends Timestamp ? Date : Date | undefined;
}

/** A time: a Date, or the Timestamp of a message, which is more exact. */
export type Instant = Date | Timestamp;

/** A time as a Timestamp. Throws UnsupportedValue for an invalid Date, which names no instant. */
export function toTimestamp(instant: Instant): Timestamp {
  if (!(instant instanceof Date)) {
    return instant;
  }
  if (Number.isNaN(instant.getTime())) {
    throw new UnsupportedValue("an invalid Date names no instant");
  }
  return timestampFromDate(instant);
}

/** A length of time in milliseconds as a Duration. Throws UnsupportedValue for what is no number. */
export function toDuration(milliseconds: number): Duration {
  if (!Number.isFinite(milliseconds)) {
    throw new UnsupportedValue(`${milliseconds} is no length of time`);
  }
  const nanos = Math.trunc((milliseconds % 1000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(Math.trunc(milliseconds / 1000)), nanos });
}

/** What an enumeration has under this word. Throws UnsupportedValue for a word it does not have. */
export function member<E extends object, W extends keyof E & string>(words: E, word: W): E[W] {
  if (!Object.hasOwn(words, word)) {
    const known = Object.keys(words).filter((key) => /^[A-Z](?!.*_UNSPECIFIED$)/.test(key));
    throw new UnsupportedValue(`${JSON.stringify(word)} is none of ${known.join(", ")}`);
  }
  return words[word];
}

/** The text as UTF-8 can carry it, cut to `size` bytes. */
export function clip(text: string, size: number): string {
  const wellFormed = text.toWellFormed();
  if (wellFormed.length * 3 <= size || Buffer.byteLength(wellFormed) <= size) {
    return wellFormed;
  }
  // What is left of a character that was cut through has no place in UTF-8.
  return new TextDecoder().decode(Buffer.from(wellFormed).subarray(0, size)).replace(/\uFFFD$/, "");
}
