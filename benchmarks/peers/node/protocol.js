// The protocol of ../README.md for the Node peers: `node DRIVER SCENARIO [NUMBER...]`.
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const BATCH = 1000;
// No latency is told of the first runs.
const WARMUP = 5;

const [scenario, ...numbers] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The time, s since the epoch. */
const now = () => (performance.timeOrigin + performance.now()) / 1000;

/** The payload of a run, about 100 bytes of JSON; `time` in µs. */
export const newRun = (id) => ({ id, time: Math.round(now() * 1e6), text: "x".repeat(60) });

/** All runs of a fill, in batches. */
export function* batches(runs) {
  for (let first = 0; first < runs; first += BATCH) {
    yield Array.from({ length: Math.min(BATCH, runs - first) }, (_, index) => newRun(first + index));
  }
}

/** Say that the driver is ready and wait for the word. */
async function begin() {
  console.log("ready");
  await lines.next();
}

/** Print what was measured and wait until its reader has looked at this process. */
async function finish(measured) {
  console.log(JSON.stringify(measured));
  await lines.next();
}

/** What a worker has seen of the `runs` it is to see. */
class Record {
  handled = 0;
  distinct = new Set();
  latencies = [];

  constructor(runs) {
    this.runs = runs;
    this.complete = new Promise((resolve) => (this.resolve = resolve));
  }

  /** Note that a run's handler has started. */
  seen = (run) => {
    this.last = now();
    this.first ??= this.last;
    this.handled += 1;
    if (this.distinct.add(run.id).size === this.runs) this.resolve();
    this.latencies.push(this.last * 1e3 - run.time / 1e3);
  };

  /** Wait until all runs are handled and stored as done, or until `limit`, and tell what was seen. */
  async finish(peer, limit) {
    await Promise.race([this.complete, sleep(1000 * (limit - now()))]);
    let left = await peer.left();
    while (left > 0 && now() < limit) {
      await sleep(1);
      left = await peer.left();
    }
    const stored = now();
    await sleep(500); // a run that comes twice may do so late
    const latencies = this.latencies.slice(WARMUP).sort((one, other) => one - other);
    const { handled, distinct, first = 0, last = 0 } = this;
    const [p50, p99] = [0.5, 0.99].map((share) => latencies[Math.floor(latencies.length * share)]);
    await finish({ handled, distinct: distinct.size, left, first, last, stored, p50, p99 });
  }
}

/**
 * Carry out the scenario that the command line names.
 *
 * A peer has: setup(), producer(callers) -> a function that enqueues one run, fill(runs), work(seen) -> a function
 * that stops the worker, schedule(count, due, seen) -> likewise, left() -> how many runs are stored and not done.
 */
export async function drive(peer) {
  const scenarios = {
    async setup() {
      await begin();
      await peer.setup();
      await finish({});
    },
    async insert(runs, callers) {
      const one = await peer.producer(callers);
      await begin();
      const start = now();
      let next = 0;
      const caller = async () => {
        while (next < runs) await one(newRun(next++));
      };
      await Promise.all(Array.from({ length: callers }, caller));
      const seconds = now() - start;
      await finish({ start, seconds, left: await peer.left() });
    },
    async fill(runs) {
      await begin();
      const start = now();
      await peer.fill(runs);
      await finish({ start, seconds: now() - start });
    },
    async pace(runs) {
      const one = await peer.producer(1);
      await begin();
      for (let id = 0; id < runs; id++) {
        await sleep(20 + 30 * Math.random());
        await one(newRun(id));
      }
      await finish({});
    },
    async work(runs, limit) {
      await begin();
      const record = new Record(runs);
      const end = await peer.work(record.seen);
      console.log("working");
      await record.finish(peer, now() + limit);
      await end();
    },
    async schedules(count, due, limit) {
      const record = new Record(count);
      const end = await peer.schedule(count, new Date(due * 1000), record.seen);
      await begin();
      await record.finish(peer, due + limit);
      await end();
    },
  };
  await scenarios[scenario](...numbers.map(Number));
  process.exit(0);
}
