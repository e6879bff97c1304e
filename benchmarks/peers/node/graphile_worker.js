// graphile-worker, a queue in PostgreSQL, with its local queue and batched completion, as in its notes on performance.
import { Logger, makeWorkerUtils, parseCronItems, run, runMigrations } from "graphile-worker";
import pg from "pg";
import { BATCH, batches, drive } from "./protocol.js";

const CONCURRENCY = 24;
const connectionString = process.env.DATABASE_URL;
const logger = new Logger(() => () => {});
const pool = (max) => new pg.Pool({ connectionString, max });
const observer = pool(1);

async function utilities(connections) {
  const pgPool = pool(connections);
  const clients = await Promise.all(Array.from({ length: connections }, () => pgPool.connect()));
  clients.forEach((client) => client.release());
  return makeWorkerUtils({ pgPool, logger });
}

async function start(seen, cronItems) {
  const worker = {
    concurrentJobs: CONCURRENCY,
    maxPoolSize: CONCURRENCY + 2,
    localQueue: { size: BATCH / 2 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
  const runner = await run({
    pgPool: pool(worker.maxPoolSize),
    logger,
    taskList: { noop: async (payload) => seen(payload) },
    parsedCronItems: parseCronItems(cronItems),
    preset: { worker },
    noHandleSignals: true,
  });
  return () => runner.stop();
}

await drive({
  setup: () => runMigrations({ connectionString, logger }),

  async producer(callers) {
    const client = await utilities(callers);
    return (payload) => client.addJob("noop", payload);
  },

  async fill(runs) {
    const client = await utilities(1);
    for (const batch of batches(runs)) {
      await client.addJobs(batch.map((payload) => ({ identifier: "noop", payload })));
    }
  },

  work: (seen) => start(seen, []),

  schedule(count, due, seen) {
    const match = `${due.getUTCMinutes()} ${due.getUTCHours()} * * *`;
    const ids = Array.from({ length: count }, (_, id) => id);
    return start(
      seen,
      ids.map((id) => ({ task: "noop", match, identifier: `s${id}`, payload: { id } })),
    );
  },

  async left() {
    const { rows } = await observer.query("SELECT count(*) FROM graphile_worker._private_jobs");
    return Number(rows[0].count);
  },
});
