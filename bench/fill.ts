/** Puts many events behind a cluster, as fast as it takes them, and says how it goes. */
import type { LoadOptions } from "./load.ts";
import type { NamedCluster } from "./stage.ts";

export interface Filling {
  readonly events: number;
  /** Distinct keys that they are over. */
  readonly keys: number;
  /** Bytes a value. Default: the load's. */
  readonly size?: number;
  /** Events of this filling that are there already: it goes on with the next key. */
  readonly done?: number;
}

/** Enough for full batches on both sides. */
const fillInFlight = 1_000;
/** Between two lines of progress. */
const chunkEvents = 100_000;

/** The chunks of a filling. One that does not begin with the first key ends with the last, so that every key is written as often. */
export function chunksOf({ events, keys, done = 0 }: Filling): Pick<LoadOptions, "total" | "keys" | "from">[] {
  const chunks: Pick<LoadOptions, "total" | "keys" | "from">[] = [];
  for (let at = done; at < events;) {
    const from = at % keys;
    const total = Math.min(chunkEvents, events - at, from === 0 ? chunkEvents : keys - from);
    chunks.push({ total, keys, from });
    at += total;
  }
  return chunks;
}

export async function fill({ name, cluster }: NamedCluster, filling: Filling): Promise<void> {
  const began = performance.now();
  const first = filling.done ?? 0;
  let filled = first;
  for (const chunk of chunksOf(filling)) {
    await cluster.load({ inFlight: fillInFlight, warm: 0, ...(filling.size !== undefined && { size: filling.size }), ...chunk });
    filled += chunk.total;
    const seconds = (performance.now() - began) / 1_000;
    const rate = (filled - first) / seconds;
    const left = Math.round((filling.events - filled) / rate);
    console.error(`${name}: ${count(filled)} of ${count(filling.events)} events written, ${count(rate)}/s, about ${left} s left`);
  }
}

const count = (value: number): string => Math.round(value).toLocaleString("en");
