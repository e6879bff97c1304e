/** The app tasks of Fliplet: screens that run by schedule or on demand. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Client } from "../client.js";
import type { Task } from "../gen/taskwheel/v1/task_pb.js";
import type { TaskRun } from "../gen/taskwheel/v1/task_run_pb.js";
import type { TaskFields } from "../requests.js";
import { cron } from "../schedules.js";
import { payloadOf, resultOf, stateOf } from "../values.js";
import type { Worker } from "../worker/worker.js";
import { instant, lastPart, upTo } from "./words.js";

const SCREEN = "page-";
const TYPES = { "app.task.completed": "SUCCEEDED", "app.task.failed": "FAILED" } as const;
const LOGS = 50;

export type LogType = keyof typeof TYPES;

/** What of an app task can be set. */
export interface Changes {
  /** Numbers, letters, dashes and underscores. */
  name?: string;
  /** The screen to run. */
  pageId?: number;
  /** Five fields of cron; null: on demand only. */
  frequency?: string | null;
  /** Whether the schedule is followed. */
  active?: boolean;
}

/** A task of an app. */
export interface AppTask {
  id: string;
  name: string;
  pageId: number | string;
  frequency: string | null;
  active: boolean;
  lastRunAt: string | null;
  nextRunAt: string | null;
}

/** What became of one run of a task. */
export interface AppTaskLog {
  id: string;
  taskId: string;
  taskName: string;
  type: LogType;
  payload?: JsonObject;
  result?: JsonValue;
  error?: { name: string; message: string };
  createdAt: string;
  completedAt: string;
}

/** Which logs to fetch. */
export interface LogQuery {
  /** The id or name of the task; default all. */
  id?: string;
  /** How many at most; default 50. */
  limit?: number;
  /** Default both types. */
  where?: { type?: LogType };
}

/** The tasks of an app. */
export interface AppTasks {
  /** Create a task, on demand only unless it has a frequency. */
  create(task: Changes & { name: string; pageId: number }): Promise<AppTask>;
  /** All tasks, the newest first. */
  get(): Promise<AppTask[]>;
  /** Queue a task for processing. */
  run(idOrName: string, payload?: object): Promise<void>;
  /** Run a task and answer its result. Throws RunFailed. */
  runWithResult<T = any>(idOrName: string, payload?: object): Promise<T>;
  /** The last results of all tasks or one, the latest first, and how many they are. */
  getLogs(query?: LogQuery): Promise<{ count: number; logs: AppTaskLog[] }>;
  /** Change any of name, pageId, frequency and active. A new name is given last. */
  update(idOrName: string, changes: Changes): Promise<AppTask>;
  /** Delete a task. */
  remove(idOrName: string): Promise<void>;
}

/** A screen: the handler `page-ID` of a worker. */
export interface Page {
  /** Let a function, plain or async, work on the payload whenever a task runs the screen. */
  onRemoteExecution(work: (payload: JsonObject) => unknown): void;
}

/** Fliplet's JS APIs; `page` is the screen of an id, whose code the worker runs. */
export function fliplet(client: Client): { App: { Tasks: AppTasks }; page: (worker: Worker, pageId: number) => Page } {
  return {
    App: { Tasks: appTasks(client) },
    page: (worker, pageId) => ({
      onRemoteExecution: (work) => void worker.handler(`${SCREEN}${pageId}`, (run) => work(run.payload)),
    }),
  };
}

function appTasks(client: Client): AppTasks {
  return {
    async create({ name, ...changes }) {
      return appTask(await client.createTask(name, fieldsOf(changes)));
    },
    async get() {
      return (await upTo(Infinity, client.listTasks())).map(appTask);
    },
    async run(idOrName, payload) {
      await client.task(idOrName).run(payload);
    },
    async runWithResult(idOrName, payload) {
      return client.runWithResult(idOrName, payload);
    },
    async getLogs({ id, limit = LOGS, where: { type } = {} } = {}) {
      const states = type ? [TYPES[type]] : Object.values(TYPES);
      const filter = `(${states.map((state) => `state = ${state}`).join(" OR ")})`;
      const runs = client.listRuns({
        filter: id ? `${filter} AND task = ${JSON.stringify(id)}` : filter,
        orderBy: "end_time desc",
        pageSize: limit,
        full: true,
      });
      const logs = (await upTo(limit, runs)).map(log);
      return { count: logs.length, logs };
    },
    async update(idOrName, { name, ...changes }) {
      const task = client.task(idOrName);
      const fields = fieldsOf(changes);
      const updated = Object.keys(fields).length ? await task.update(fields) : await task.get();
      return appTask(name === undefined ? updated : await task.rename(name));
    },
    async remove(idOrName) {
      await client.task(idOrName).delete();
    },
  };
}

function fieldsOf({ pageId, frequency, active }: Omit<Changes, "name">): TaskFields {
  return {
    ...(pageId !== undefined && { handler: `${SCREEN}${pageId}` }),
    ...(frequency !== undefined && { schedules: frequency ? [cron(frequency)] : [] }),
    ...(active !== undefined && { paused: !active }),
  };
}

function appTask(task: Task): AppTask {
  const screen = (task.target.value?.handler ?? "").replace(SCREEN, "");
  const spec = task.schedules[0]?.spec;
  return {
    id: task.uid,
    name: lastPart(task.name),
    pageId: /^\d+$/.test(screen) ? Number(screen) : screen,
    frequency: spec?.case === "cron" ? spec.value : null,
    active: !task.paused,
    lastRunAt: instant(task.lastRunTime) ?? null,
    nextRunAt: instant(task.nextRunTime) ?? null,
  };
}

function log(run: TaskRun): AppTaskLog {
  const payload = payloadOf(run);
  const result = resultOf(run);
  return {
    id: run.uid,
    taskId: run.taskUid,
    taskName: run.taskId,
    type: stateOf(run) === "SUCCEEDED" ? "app.task.completed" : "app.task.failed",
    ...(payload && { payload }),
    ...(result !== undefined && { result }),
    ...(run.error && { error: { name: run.error.name, message: run.error.message } }),
    createdAt: instant(run.createTime)!,
    completedAt: instant(run.endTime)!,
  };
}
