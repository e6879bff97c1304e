/** A stream of the client that is read only as far as the runner asks. */
import { setTimeout as sleep } from "node:timers/promises";

/** Events or log entries. */
export class Stream {
  readonly #items: AsyncIterator<unknown>;
  readonly #ending: AbortController;
  #coming: Promise<IteratorResult<unknown>> | undefined;

  /** @param ending ends what the client answered. */
  constructor(items: AsyncIterable<unknown>, ending: AbortController) {
    this.#items = items[Symbol.asyncIterator]();
    this.#ending = ending;
  }

  /** The next items: `count` of them, or as many as come in time or until the end. */
  async take(count: number, milliseconds: number): Promise<unknown[]> {
    const over = new AbortController();
    const late = sleep(milliseconds, "late" as const, { signal: over.signal });
    late.catch(() => undefined);
    const taken: unknown[] = [];
    try {
      while (taken.length < count) {
        this.#coming ??= this.#items.next();
        const next = await Promise.race([this.#coming, late]);
        if (next === "late" || next.done) {
          break;
        }
        this.#coming = undefined;
        taken.push(next.value);
      }
    } catch (error) {
      if (!taken.length) {
        throw error;
      }
    } finally {
      over.abort();
    }
    return taken;
  }

  /** End it. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#coming?.catch(() => undefined);
  }
}
