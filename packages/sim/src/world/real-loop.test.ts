import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";

/** Lives in a thread of its own and counts what the life asks of the real event loop, by kind of resource. */
const counting = `
  const { createHook } = require("node:async_hooks");
  const { parentPort, workerData } = require("node:worker_threads");
  const asked = {};
  const hook = createHook({ init: (_, type) => { asked[type] = (asked[type] ?? 0) + 1; } });
  import(workerData).then(async ({ live }) => {
    await live({ seed: 5, forMs: 500 });
    hook.enable();
    const { steps, violation } = await live({ seed: 5, forMs: 4_000 });
    hook.disable();
    parentPort.postMessage({ asked, steps, violation });
  });
`;

/** The thread loads the whole product first; a crowded machine takes its time over that. */
const threadMs = 300_000;

interface Told {
  readonly asked: Readonly<Record<string, number>>;
  readonly steps: number;
  readonly violation: unknown;
}

it(
  "a life asks the real event loop for nothing: what it waits for comes from promises and from the world",
  { timeout: threadMs },
  async () => {
    const worker = new Worker(counting, { eval: true, workerData: join(import.meta.dirname, "../life.ts") });
    const { asked, steps, violation } = await new Promise<Told>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
    });
    await worker.terminate();
    expect(violation).toBeNull();
    const { PROMISE, Immediate, ...others } = asked;
    expect(PROMISE).toBeGreaterThan(0);
    // The world's own: a turn now and then, and at the beginning of each of its runs.
    expect(Immediate).toBeLessThanOrEqual(20 + steps / 4_096);
    expect(others).toEqual({});
  },
);
