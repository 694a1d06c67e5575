import { join } from "node:path";
import { fault } from "./failure.ts";
import { isLock, takeLock } from "./lock.ts";

const nameGrammar = /^[a-z][a-z0-9-]{0,40}$/;
const lockWaitMs = 30_000;

/**
 * One writer for each name in a folder of records, over all processes. Fails with Invalid for what is no name, with Conflict when another
 * is long at it.
 */
export async function exclusively<A>(folder: string, name: string, purpose: string, run: () => Promise<A>): Promise<A> {
  if (!nameGrammar.test(name)) {
    throw fault({
      _tag: "Invalid",
      op: purpose,
      message: `name ${JSON.stringify(name)} must match ${nameGrammar.source}`,
    });
  }
  const taken = await takeLock(join(folder, `${name}.lock`), purpose, lockWaitMs);
  if (!isLock(taken)) {
    const message = `process ${taken.pid} has been at "${taken.purpose}" of ${name} for ${lockWaitMs / 1000} s`;
    throw fault({ _tag: "Conflict", kind: "busy", op: `${purpose} ${name}`, message });
  }
  try {
    return await run();
  } finally {
    await taken.release();
  }
}
