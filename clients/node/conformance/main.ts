/** The driver of Node: see tests/conformance/README.md. `npm run --silent conformance`. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { errorOf, jsonOf, parse, type Args } from "./answers.js";
import { Verbs, type Verb } from "./verbs.js";

interface Step {
  do: string;
  args?: Args;
  as?: string;
}

const verbs = new Verbs();
const background = new Map<string, Promise<object>>();

async function answerOf({ do: name, args = {} }: Step): Promise<object> {
  const verb = Object.hasOwn(Verbs.prototype, name) ? (verbs[name] as Verb) : undefined;
  if (!verb) {
    return { unsupported: `no verb ${name}` };
  }
  try {
    return { ok: jsonOf(await verb.call(verbs, args)) };
  } catch (error) {
    return { error: errorOf(error) };
  }
}

async function answer(step: Step): Promise<object> {
  if (step.as) {
    background.set(step.as, answerOf(step));
    return { ok: null };
  }
  if (step.do !== "join") {
    return answerOf(step);
  }
  const { of, timeout = 20 } = step.args!;
  const over = new AbortController();
  const late = sleep(Number(timeout) * 1000, { error: { unexpected: `${of as string} has not ended` } }, over);
  try {
    return await Promise.race([background.get(of as string)!, late]);
  } finally {
    late.catch(() => undefined);
    over.abort();
  }
}

let connected = false;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (connected) {
    console.log(JSON.stringify(await answer(parse(line) as Step)));
  } else {
    await verbs.connect(JSON.parse(line) as Args);
    connected = true;
    console.log(JSON.stringify({ ok: { language: "node" } }));
  }
}
await verbs.reset();
process.exit(0);
