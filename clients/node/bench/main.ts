/**
 * The load of the Node client itself. Prints one line of JSON: what was done, in how many seconds and CPU seconds.
 *
 *     node dist/bench/main.js drain HOST:PORT [RUNS]             one worker, from its start to the last acknowledgement
 *     node dist/bench/main.js call HOST:PORT [RUNS] [CALLERS]    callers that start a run a call, 32 unless said
 */
import { Client, Worker } from "taskwheel";

const PAYLOAD = {
  email: "john@example.org",
  count: 12345,
  tags: ["a", "b"],
  nested: { ok: true, text: "x".repeat(20) },
};
const WARM_UP = 15_000;

const [mode = "", address = "", runs = "20000", callers = "32"] = process.argv.slice(2);
const quiet = { info: () => undefined, warn: console.error };

/** Do something, and tell how long it took. */
async function measured(done: number, work: () => Promise<void>): Promise<void> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ runs: done, seconds, cpu_seconds: (user + system) / 1e6 }));
}

async function drain(client: Client, task: string, count: number, measure: typeof measured): Promise<void> {
  await client.runMany(Array.from({ length: count }, () => ({ task, payload: PAYLOAD })));
  const worker = new Worker({ address, maxConcurrentRuns: 1000, log: quiet });
  let worked = 0;
  worker.handler(task, () => {
    if (++worked === count) {
      worker.stop();
    }
  });
  await measure(count, () => worker.serve());
}

async function call(client: Client, task: string, count: number, lanes: number): Promise<void> {
  let left = count;
  const handle = client.task(task);
  const caller = async () => {
    while (left-- > 0) {
      await handle.run(PAYLOAD);
    }
  };
  await Promise.all(Array.from({ length: lanes }, caller));
}

await using client = new Client({ address });
const task = `bench-node-${mode}-${process.pid}`;
await client.createTask(task, { handler: task });
// The compiler of Node takes a second or two to know the code.
if (mode === "drain") {
  await drain(client, task, WARM_UP, (_, work) => work());
  await drain(client, task, Number(runs), measured);
} else {
  await call(client, task, WARM_UP, Number(callers));
  await measured(Number(runs), () => call(client, task, Number(runs), Number(callers)));
}
await client.task(task).delete();
