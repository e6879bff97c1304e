/** The handlers that a driver's worker can register. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Handler, Run } from "taskwheel";

/** What handlers wait for, by name. */
export class Gates {
  readonly #gates = new Map<string, { opened: Promise<void>; open: () => void }>();
  #allOpen = false;

  #gate(name: string) {
    let gate = this.#gates.get(name);
    if (!gate) {
      let open = () => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      gate = { opened, open };
      this.#gates.set(name, gate);
      if (this.#allOpen) {
        open();
      }
    }
    return gate;
  }

  /** Let through who waits here, now and later. */
  open(name: string): void {
    this.#gate(name).open();
  }

  /** Let everybody through. */
  openAll(): void {
    this.#allOpen = true;
    this.#gates.forEach((gate) => gate.open());
  }

  /** Wait until the gate is open. */
  async wait(name: string): Promise<void> {
    await this.#gate(name).opened;
  }

  /** Wait until the gate is open; stop if the run is to stop. */
  async waitFor(name: string, { signal }: Run<never>): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    signal.throwIfAborted();
    await Promise.race([this.wait(name), aborted]);
    signal.throwIfAborted();
  }
}

interface Entry {
  level: "DEBUG" | "INFO" | "WARNING" | "ERROR";
  message: string;
  fields?: object;
}

function fail({ payload }: Run<{ name: string; message: string }>): never {
  // A class of this name, as a user would write it.
  const classes = { [payload.name]: class extends Error {} };
  throw new classes[payload.name]!(payload.message);
}

/** The built-in handlers, by name. */
export function builtIns(gates: Gates): Record<string, Handler<any>> {
  return {
    echo: (run: Run) => run.payload,
    add: (run: Run<{ a: number; b: number }>) => run.payload.a + run.payload.b,
    inspect: ({ uid, task, handler, attempt, tags, labels, payload }: Run) => {
      return { uid, task, handler, attempt, tags, labels, payload };
    },
    fail,
    fail_twice: (run: Run<{ name: string; message: string }>) =>
      run.attempt < 3 ? fail(run) : { attempt: run.attempt },
    crash: () => (undefined as unknown as JsonObject)["name"],
    unsupported: () => Symbol("no JSON"),
    big: (run: Run<{ bytes: number }>) => "x".repeat(run.payload.bytes),
    log: (run: Run<{ entries: Entry[] }>) => {
      for (const { level, message, fields } of run.payload.entries) {
        run.log[level.toLowerCase() as Lowercase<Entry["level"]>](message, fields);
      }
      return run.payload.entries.length;
    },
    progress: async (run: Run<{ ratios: number[]; message: string; gate: string }>) => {
      for (const ratio of run.payload.ratios) {
        run.progress(ratio, run.payload.message);
      }
      await gates.waitFor(run.payload.gate, run as Run<never>);
      return run.payload.ratios.at(-1);
    },
    gate: async (run: Run<{ gate: string }>) => {
      run.log.info("begun");
      await gates.waitFor(run.payload.gate, run as Run<never>);
      return run.payload;
    },
    stubborn: async (run: Run<{ gate: string }>) => {
      run.log.info("begun");
      await gates.wait(run.payload.gate);
      return run.payload;
    },
  };
}
