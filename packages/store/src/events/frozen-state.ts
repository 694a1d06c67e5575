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
    rows: (wanted) => frozenRows({ view, generation, count: sums.count, fatal }, wanted),
    close: () => (closed ??= view.close()),
  };
}

interface Source {
  readonly view: StateView;
  readonly generation: number;
  readonly count: number;
  readonly fatal: (error: Error) => never;
}

async function* frozenRows(
  { view, generation, count, fatal }: Source,
  wanted: ((thing: string) => boolean) | undefined,
): AsyncIterable<readonly FrozenRow[]> {
  try {
    let found = 0;
    for await (const page of view.scan(kindRange(generation, "r"))) {
      found += page.length;
      for (let from = 0; from < page.length; from += batchRows) {
        const rows: FrozenRow[] = [];
        for (const [key, value] of page.slice(from, from + batchRows)) {
          const bare = bareKey(key);
          const [noun, id] = parseRowKey(bare);
          if (wanted?.(`${noun}/${id}`) !== false) rows.push({ noun, stored: decodeRow(id, unseal(bare, value)) });
        }
        yield rows;
      }
    }
    if (found !== count) throw new Damaged(`${found} rows on disk, where ${count} were written`);
  } catch (error) {
    if (error instanceof Damaged) fatal(error);
    throw error;
  }
}
