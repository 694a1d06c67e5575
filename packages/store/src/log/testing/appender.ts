/**
 * A process that appends groups for as long as it lives. It says after each what it has acknowledged, and before one that takes
 * entries back, up to where it still stands by them. Run with a data folder.
 */
import type { HardState } from "@aether/raft/types";
import { batchOf, entriesAfter } from "./batches.ts";
import { openLog } from "../open.ts";

export const appenderIdentity = { clusterId: "00112233445566778899aabbccddeeff", nodeId: 1 };

async function appendForever(dir: string): Promise<never> {
  const { verdict, storage } = await openLog(dir, appenderIdentity);
  if (storage === undefined || !("boot" in verdict)) throw new Error(JSON.stringify(verdict));
  let { hard } = verdict.boot;
  let promised = hard;
  for (let group = 0; ; group++) {
    const prev = storage.view.last();
    // Every tenth group is in a new term with a new vote, every seventh takes back what is not committed.
    if (group % 10 === 0) hard = { term: hard.term + 1, vote: 1 + (group % 3), commit: hard.commit };
    const back = group % 7 === 0 && prev.index > hard.commit ? hard.commit : prev.index;
    const from = { index: back, term: storage.view.term(back) as number };
    if (back < prev.index) say(back, promised);
    hard = { ...hard, commit: Math.max(hard.commit, back - 5) };
    const entries = entriesAfter(from, Array<number>(1 + (group % 9)).fill(hard.term), 20 + ((group * 37) % 900));
    await storage.append([batchOf({ prev: from, entries, hard })]);
    promised = hard;
    say(storage.view.last().index, promised);
  }
}

/** A pipe is written synchronously, so what was said before a kill is always read. */
function say(index: number, { term, vote }: HardState): void {
  process.stdout.write(`${JSON.stringify({ index, term, vote })}\n`);
}

const [, script, dir] = process.argv;
if (script === import.meta.filename && dir !== undefined) await appendForever(dir);
