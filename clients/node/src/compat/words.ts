/** What the other systems' shapes have in common. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import { dateOf, stateOf } from "../values.js";

/** An instant as text, in UTC and to the millisecond. */
export function instant(time: Timestamp | undefined): string | undefined {
  return dateOf(time)?.toISOString();
}

/** The last part of a name. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The other system's word for the state of a run; a state that has none, such as a later one's, by its own name. */
export function word<S extends string>(words: Record<string, S>, run: TaskRun): S {
  const state = stateOf(run);
  return words[state] ?? (state as S);
}

/** The first of what is listed, `limit` at most. */
export async function upTo<T>(limit: number, items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    if (found.push(item) >= limit) {
      break;
    }
  }
  return found;
}
