/** A live server, and a proxy before it that can be cut. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import net, { type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { Client, Worker, type ClientOptions, type WorkerOptions } from "taskwheel";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** A program of the Python environment of this checkout. */
export function python(name: string): string {
  return path.join(ROOT, ".venv", "bin", name);
}

/** A server on a port and a database of its own. */
export class TestServer {
  address = "127.0.0.1:0";
  readonly #closers: (() => Promise<void>)[] = [];
  #process: ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    readonly options: string[],
  ) {}

  /** Start one, with further options of `taskwheel serve`. */
  static async start(...options: string[]): Promise<TestServer> {
    const server = new TestServer(await mkdtemp(path.join(tmpdir(), "taskwheel-")), options);
    await server.resume();
    return server;
  }

  /** Start it, on the port that it had. */
  async resume(): Promise<void> {
    const database = `sqlite:///${this.folder}/taskwheel.db`;
    const command = ["serve", "--listen", this.address, "--database-url", database, ...this.options];
    this.#process = spawn(python("taskwheel"), command, { stdio: ["ignore", "pipe", "pipe"] });
    const child = this.#process;
    process.once("exit", () => child.kill());
    const lines: string[] = [];
    for await (const line of createInterface({ input: this.#process.stderr! })) {
      lines.push(line);
      const { event, address } = JSON.parse(line) as { event: string; address: string };
      if (event === "ready") {
        this.address = address;
        this.#process.stdout!.resume();
        this.#process.stderr!.resume();
        return;
      }
    }
    throw new Error(`the server did not start: ${lines.join("\n")}`);
  }

  /** End the server, but not what it stored. */
  async halt(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const ended = new Promise((resolve) => this.#process!.once("exit", resolve));
    this.#process!.kill(signal);
    await ended;
  }

  /** A client, which is closed with the server. */
  client(options: ClientOptions = {}): Client {
    const client = new Client({ address: this.address, ...options });
    this.#closers.push(() => client.close());
    return client;
  }

  /** Start a worker, which is stopped with the server; answers a function that stops it before. */
  work(worker: Worker): () => Promise<void> {
    const serving = worker.serve();
    const stop = async () => {
      worker.stop();
      await serving;
    };
    this.#closers.push(stop);
    return stop;
  }

  /** A worker that says nothing. */
  worker(options: WorkerOptions = {}): Worker {
    return new Worker({ address: this.address, grace: 2000, log: { info: () => {}, warn: () => {} }, ...options });
  }

  /** End it all. */
  async stop(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()));
    await this.halt();
    await rm(this.folder, { recursive: true });
  }
}

/** A proxy before a server, whose connections can be broken. */
export class Proxy {
  refusing = false;
  readonly #sockets = new Set<Socket>();
  readonly #server: net.Server;

  private constructor(target: string) {
    const [host, port] = target.split(":") as [string, string];
    this.#server = net.createServer((incoming) => {
      if (this.refusing) {
        incoming.destroy();
        return;
      }
      const outgoing = net.connect(Number(port), host);
      for (const [one, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        this.#sockets.add(one);
        one.on("error", () => undefined).on("close", () => (this.#sockets.delete(one), other.destroy()));
        one.pipe(other);
      }
    });
  }

  static async before(target: string): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Break all connections there are. */
  cut(): void {
    this.#sockets.forEach((socket) => socket.resetAndDestroy());
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

/** The first `count` of what comes. */
export async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) {
      break;
    }
  }
  return taken;
}

/** A promise, and what settles it. */
export function gate(): { open: () => void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** All that comes. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  return take(items, Infinity);
}
