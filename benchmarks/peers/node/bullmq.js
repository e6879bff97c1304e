// BullMQ, a queue in Redis: a worker of 100 concurrent jobs, done jobs kept as it is shipped.
import { Queue, Worker } from "bullmq";
import { batches, drive } from "./protocol.js";

const [host, port] = process.env.REDIS_ADDRESS.split(":");
const connection = { host, port: Number(port), maxRetriesPerRequest: null };

async function open() {
  const queue = new Queue("noop", { connection });
  await queue.waitUntilReady();
  return queue;
}

async function work(seen) {
  const worker = new Worker("noop", async (job) => seen(job.data), { connection, concurrency: 100 });
  worker.on("error", console.error);
  await worker.waitUntilReady();
  return () => worker.close();
}

await drive({
  setup: open,

  async producer(callers) {
    const queues = await Promise.all(Array.from({ length: callers }, open));
    return (run) => queues[run.id % callers].add("noop", run);
  },

  async fill(runs) {
    const queue = await open();
    for (const batch of batches(runs)) await queue.addBulk(batch.map((data) => ({ name: "noop", data })));
  },

  work,

  async schedule(count, due, seen) {
    const queue = await open();
    const pattern = `0 ${due.getUTCMinutes()} ${due.getUTCHours()} * * *`;
    for (let first = 0; first < count; first += 100) {
      const ids = Array.from({ length: Math.min(100, count - first) }, (_, index) => first + index);
      await Promise.all(
        ids.map((id) => queue.upsertJobScheduler(`s${id}`, { pattern, tz: "UTC" }, { name: "noop", data: { id } })),
      );
    }
    return work(seen);
  },

  async left() {
    const queue = await open();
    const counts = await queue.getJobCounts("waiting", "active", "prioritized", "failed");
    await queue.close();
    return Object.values(counts).reduce((sum, count) => sum + count, 0);
  },
});
