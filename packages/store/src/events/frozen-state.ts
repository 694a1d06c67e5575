/** A state as it was at one moment, read from disk row by row while the present goes on. */
import type { FrozenRow, FrozenState } from "../types.ts";
import { decodeRow } from "./row-table.ts";
import { bareKey, kindRange, parseRowKey } from "./state-db.ts";
import type { StateView } from "./state-db.ts";
import type { StateMeta } from "./state-meta.ts";
import { Damaged, unseal } from "./value-codec.ts";

/** Rows decoded between two turns of others: about a millisecond. */
const batchRows = 128;

/** `fatal`: told of rows that are not what was written, as damage found at a start would be. */
export function frozenState(meta: StateMeta, view: StateView, fatal: (error: Error) => never): FrozenState {
  const { applied, at, chain, generation, sums } = meta;
  let closed: Promise<void> | null = null;
  return {
    index: applied.index,
    term: applied.term,
    at,
    chain: Buffer.from(chain).toString("hex"),
    rows: () => frozenRows(view, generation, sums.count, fatal),
    close: () => (closed ??= view.close()),
  };
}

async function* frozenRows(
  view: StateView,
  generation: number,
  count: number,
  fatal: (error: Error) => never,
): AsyncIterable<readonly FrozenRow[]> {
  try {
    let found = 0;
    for await (const page of view.scan(kindRange(generation, "r"))) {
      for (let from = 0; from < page.length; from += batchRows) {
        const rows = page.slice(from, from + batchRows).map(([key, value]): FrozenRow => {
          const bare = bareKey(key);
          const [noun, id] = parseRowKey(bare);
          return { noun, stored: decodeRow(id, unseal(bare, value)) };
        });
        found += rows.length;
        yield rows;
      }
    }
    if (found !== count) throw new Damaged(`${found} rows on disk, where ${count} were written`);
  } catch (error) {
    if (error instanceof Damaged) fatal(error);
    throw error;
  }
}
