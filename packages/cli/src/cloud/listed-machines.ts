/** Machines that were made a moment ago, as the vendor lists them. */
import { setTimeout as sleep } from "node:timers/promises";
import { labelKeys } from "@aether/cloud/labels";
import type { Instance } from "@aether/cloud/provider";

export interface Look {
  readonly list: () => Promise<readonly Instance[]>;
  readonly say: (text: string) => void;
}

const everyMs = 500;

/**
 * By node. Lists lag behind what was made: as long as one of `names` is missing they are looked at again, for `withinMs` at most; what is
 * missing then is not there.
 */
export async function listedMachines(
  names: readonly string[],
  { list, say }: Look,
  withinMs: number,
): Promise<ReadonlyMap<string, Instance>> {
  const until = performance.now() + withinMs;
  for (;;) {
    const byNode = new Map((await list()).map((instance) => [instance.labels[labelKeys.node] ?? instance.name, instance]));
    const missing = names.filter((name) => !byNode.has(name));
    if (missing.length === 0 || performance.now() >= until) return byNode;
    say(`waiting until ${missing.join(", ")} can be seen`);
    await sleep(Math.min(everyMs, Math.max(1, until - performance.now())));
  }
}
