/** What became of a run, as it is reported. Whatever a handler returns or throws, the report is within the bounds. */
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { RunErrorSchema } from "../gen/taskwheel/v1/task_run_pb.js";
import { RunResultSchema, type RunResult } from "../gen/taskwheel/v1/worker_service_pb.js";
import { clip, toJsonValue, toValue, weigh } from "../values.js";
import type { AnyRun } from "./run.js";

const MAX_RESULT = 2 ** 20;
const MAX_MESSAGE = 8 * 2 ** 10;
const MAX_STACK = 64 * 2 ** 10;
const MAX_NAME = 256;

/** A report, and about how many bytes it has. */
export interface Report {
  result: RunResult;
  weight: number;
}

/** The report of a handler that returned: its JSON value, or why that is none. */
export function succeeded(run: AnyRun, returned: unknown): Report {
  try {
    const json = toJsonValue(returned);
    const weight = weigh(json);
    const value = toValue(json);
    const size = weight > MAX_RESULT / 2 ? toBinary(ValueSchema, value).length : weight;
    if (size > MAX_RESULT) {
      const message = `the result has ${size.toLocaleString("en")} bytes, more than 1 MiB`;
      return failure(run, { type: "system", name: "resultTooLarge", message }, message.length);
    }
    return { result: report(run, { case: "result", value }), weight };
  } catch (error) {
    return failed(run, error);
  }
}

/** The report of a handler that threw. Retry policies know the error by its name, by default that of its class. */
export function failed(run: AnyRun, thrown: unknown): Report {
  const error = thrown instanceof Error ? thrown : new Error(text(thrown));
  const type = clip(error.constructor.name || "Error", MAX_NAME);
  const name = clip(text(error.name) === "Error" ? type : text(error.name), MAX_NAME);
  const message = clip(text(error.message), MAX_MESSAGE);
  const stack = clip(stackOf(error), MAX_STACK);
  return failure(run, { type, name, message, stack }, 3 * (message.length + stack.length));
}

/** The report of a handler that stopped as it was asked to. */
export function cancelled(run: AnyRun): Report {
  return { result: report(run, { case: "cancelled", value: true }), weight: 0 };
}

function failure(run: AnyRun, error: MessageInitShape<typeof RunErrorSchema>, weight: number): Report {
  return { result: report(run, { case: "error", value: create(RunErrorSchema, error) }), weight };
}

function report(run: AnyRun, outcome: RunResult["outcome"]): RunResult {
  return create(RunResultSchema, { run: run.name, attempt: run.attempt, leaseToken: run.leaseToken, outcome });
}

/** The text of anything; a broken toString must not lose the report. */
function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "";
  }
}

/** The stack, with those of its causes. */
function stackOf(error: Error): string {
  const stacks: string[] = [];
  const seen = new Set<unknown>();
  for (let each: unknown = error; each instanceof Error && !seen.has(each); each = each.cause) {
    seen.add(each);
    stacks.push(text(each.stack));
  }
  return stacks.join("\ncaused by ");
}
