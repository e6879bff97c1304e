/** The README's programs, as they are pasted. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { TestServer } from "./server.js";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

const SAYS: Record<string, RegExp> = {
  "hello.mjs": /printed \{ page: 1 \}[^]*\{ pages: 3, to: 'john@example.org' \}/,
  "callers.mjs": /^At 02:30[^]*PENDING run_pending\nit goes on: PENDING\n[^]*CANCELLED\nTASK_NOT_FOUND\n$/,
  "compat.mjs": /scheduledTaskName: 'billOnDemand'[^]*status: 'pending'[^]*status: 'canceled'/,
};

test("the programs of the README run as they are pasted", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "taskwheel-readme-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, "node_modules"));
  await symlink(PACKAGE, path.join(folder, "node_modules", "taskwheel"));
  const server = await TestServer.start();
  t.after(() => server.stop());
  const readme = await readFile(path.join(PACKAGE, "README.md"), "utf8");
  const programs = [...readme.matchAll(/```js\n(\/\/ (\S+)\n[^]*?)```/g)];
  assert.deepEqual(
    programs.map(([, , name]) => name),
    Object.keys(SAYS),
  );
  for (const [, text, name] of programs) {
    await writeFile(path.join(folder, name!), text!);
    const env = { ...process.env, TASKWHEEL_ADDRESS: server.address };
    const { stdout } = await promisify(execFile)(process.execPath, [name!], { cwd: folder, env, timeout: 20_000 });
    assert.match(stdout, SAYS[name!]!);
  }
});
