/** The verbs of the driver: each one call of the client's public API. */
import { readFile } from "node:fs/promises";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { Client, Worker } from "taskwheel";
import { ScheduleSchema } from "taskwheel/v1/schedule";
import { errorOf, instantOf, jsonOf, optionsOf, runRequest, taskFields, type Args } from "./answers.js";
import { builtIns, Gates } from "./handlers.js";
import { Stream } from "./streams.js";

async function upTo<T>(items: AsyncIterable<T>, limit = Infinity): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
    if (found.length >= limit) {
      break;
    }
  }
  return found;
}

/** The state of the driver: clients, streams and workers. Arguments are as the README of the table has them. */
export class Verbs {
  [verb: string]: unknown;
  #target = "";
  #clients: Client[] = [];
  #streams = new Map<string, Stream>();
  #workers: { worker: Worker; serving: Promise<void> }[] = [];
  #gates = new Gates();
  #ending = new AbortController();

  get #client(): Client {
    return this.#clients.at(-1)!;
  }

  async connect({ target, timeout, metadata, ca, server_name: servername }: Args): Promise<void> {
    this.#target = target as string;
    this.#clients.push(
      new Client({
        address: this.#target,
        ...(timeout !== undefined && { timeout: Number(timeout) * 1000 }),
        metadata: (metadata ?? {}) as Record<string, string>,
        ...(ca !== undefined && {
          tls: {
            ca: await readFile(ca as string),
            ...(servername !== undefined && { servername: servername as string }),
          },
        }),
      }),
    );
  }

  create_task({ task_id, task, ...options }: Args) {
    return this.#client.createTask(task_id as string, taskFields(task as Args), optionsOf(options));
  }

  get_task({ task }: Args) {
    return this.#client.task(task as string).get();
  }

  list_tasks({ limit, ...options }: Args) {
    return upTo(this.#client.listTasks(optionsOf(options)), limit as number | undefined);
  }

  update_task({ task, set, ...options }: Args) {
    return this.#client.task(task as string).update(taskFields(set as Args), optionsOf(options));
  }

  rename_task({ task, new_task_id }: Args) {
    return this.#client.task(task as string).rename(new_task_id as string);
  }

  pause_task({ task, reason }: Args) {
    return this.#client.task(task as string).pause(reason as string | undefined);
  }

  resume_task({ task }: Args) {
    return this.#client.task(task as string).resume();
  }

  delete_task({ task, ...options }: Args) {
    return this.#client.task(task as string).delete(optionsOf(options));
  }

  preview({ task, schedule, after, ...options }: Args) {
    const limits = { ...optionsOf(options), ...(after !== undefined && { after: instantOf(after) }) };
    return schedule === undefined
      ? this.#client.task(task as string).preview(limits)
      : this.#client.preview(fromJson(ScheduleSchema, schedule), limits);
  }

  backfill({ task, start_time, end_time, ...options }: Args) {
    const [start, end] = [instantOf(start_time!), instantOf(end_time!)];
    return this.#client.task(task as string).backfill(start, end, optionsOf(options));
  }

  run(args: Args) {
    const { task, payload, ...options } = runRequest(args);
    return this.#client.task(task).run(payload, options);
  }

  run_many({ runs }: Args) {
    return this.#client.runMany((runs as Args[]).map(runRequest));
  }

  run_together({ runs }: Args) {
    const one = (args: Args) => this.run(args).then(jsonOf, (error: unknown) => ({ error: errorOf(error) }));
    return Promise.all((runs as Args[]).map(one));
  }

  run_with_result({ task, payload, ...limits }: Args) {
    const options = { ...optionsOf(limits), signal: this.#ending.signal };
    return this.#client.runWithResult(task as string, payload as object | undefined, options);
  }

  get_run({ run, ...options }: Args) {
    return this.#client.getRun(run as string, optionsOf(options));
  }

  wait({ run, ...options }: Args) {
    return this.#client.wait(run as string, { ...optionsOf(options), signal: this.#ending.signal });
  }

  cancel({ run, ...options }: Args) {
    return this.#client.cancel(run as string, optionsOf(options));
  }

  get_task_status({ id, ...options }: Args) {
    return this.#client.getTaskStatus(id as string, optionsOf(options));
  }

  list_runs({ limit, ...options }: Args) {
    return upTo(this.#client.listRuns(optionsOf(options)), limit as number | undefined);
  }

  list_events({ limit, ...options }: Args) {
    return upTo(this.#client.listEvents(optionsOf(options)), limit as number | undefined);
  }

  async watch({ stream, filter, after }: Args): Promise<void> {
    const ending = new AbortController();
    const options = { filter: (filter as string) ?? "", signal: ending.signal };
    const from = after === undefined ? {} : { after: BigInt(after as string) };
    this.#streams.set(stream as string, new Stream(await this.#client.watchEvents({ ...options, ...from }), ending));
  }

  async follow_logs({ stream, run, after, ...options }: Args): Promise<void> {
    const ending = new AbortController();
    const from = after === undefined ? {} : { after: BigInt(after as string) };
    const all = { ...optionsOf(options), ...from, signal: ending.signal };
    this.#streams.set(stream as string, new Stream(this.#client.followLogs(run as string, all), ending));
  }

  next({ stream, count, timeout }: Args) {
    return this.#streams.get(stream as string)!.take(Number(count ?? Infinity), Number(timeout ?? 10) * 1000);
  }

  async close({ stream }: Args): Promise<void> {
    await this.#streams.get(stream as string)!.close();
    this.#streams.delete(stream as string);
  }

  server_info() {
    return this.#client.serverInfo();
  }

  async start_worker({ handlers, target, ...options }: Args): Promise<void> {
    const worker = new Worker({
      address: (target as string | undefined) ?? this.#target,
      maxConcurrentRuns: 10,
      grace: 5000,
      log: { info: console.error, warn: console.error },
      ...optionsOf(options),
    });
    const known = builtIns(this.#gates);
    for (const [name, kind] of Object.entries(handlers as Record<string, string>)) {
      worker.handler(name, known[kind]!);
    }
    const serving = worker.serve();
    serving.catch(() => undefined);
    this.#workers.push({ worker, serving });
  }

  async stop_worker(): Promise<void> {
    const { worker, serving } = this.#workers.pop()!;
    worker.stop();
    await serving;
  }

  async open_gate({ name }: Args): Promise<void> {
    this.#gates.open(name as string);
  }

  async reset(): Promise<void> {
    this.#gates.openAll();
    this.#ending.abort();
    const ended = this.#workers.map(({ worker, serving }) => {
      worker.stop();
      worker.stop();
      return serving.catch(() => undefined);
    });
    await Promise.all([...ended, ...[...this.#streams.values()].map((stream) => stream.close())]);
    await Promise.all(this.#clients.splice(0, this.#clients.length - 1).map((client) => client.close()));
    this.#streams.clear();
    this.#workers = [];
    this.#gates = new Gates();
    this.#ending = new AbortController();
  }
}

/** What a verb is to the driver. */
export type Verb = (this: Verbs, args: Args) => Promise<JsonValue | object | void>;
