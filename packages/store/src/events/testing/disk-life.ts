/** A state and its disk without the store around them: lives through entries, flushes, restores and deaths, step by step. */
import { Kind } from "@aether/raft/types";
import type { Entry, SnapMeta } from "@aether/raft/types";
import { noPace } from "../../pace.ts";
import { emptyState } from "../applied-state.ts";
import type { AppliedState } from "../applied-state.ts";
import { encodeEntry } from "../entry-codec.ts";
import { noPacks } from "../pack-list.ts";
import { restoreSnapshot, snapshotRecords } from "../snapshot-stream.ts";
import { StateDisk } from "../state-disk.ts";
import { loadState } from "../state-load.ts";
import { emptyDisk, headOf } from "../state-meta.ts";
import { boxRegistry, filled } from "./box-noun.ts";
import { CrashFolder } from "./crash-folder.ts";
import { alone, operator } from "./one-member.ts";

const never = (): boolean => false;
const boxes = 12;

/** Entry `index` of the one log that all lives follow. Each third is no request; now and then a box is removed, or many are filled. */
function entryAt(index: number): Entry {
  const client = `c${index % 5}`;
  const request = index % 3 === 0 ? null : { client, id: `r${index}`, fingerprint: `f${index}`, version: index };
  const box = `b${index % boxes}`;
  const events =
    index % 17 === 0
      ? Array.from({ length: 600 }, (_, i) => filled(`m${i}`, index))
      : [index % 11 === 0 ? { type: "BoxRemoved", v: 1, id: box } : filled(box, index)];
  return {
    index,
    term: 1,
    kind: Kind.normal,
    data: encodeEntry({ at: 1_000 + index, actor: operator, cause: "FillBox", request, events }),
  };
}

const log: Entry[] = [];
/** The log's entry `index`, from 1 on; the same object every time. */
function logged(index: number): Entry {
  while (log.length < index) log.push(entryAt(log.length + 1));
  return log[index - 1] as Entry;
}

const lived = emptyState(boxRegistry, never);
const digests: string[] = [lived.digest().digest];
const chain: string[] = [];
/** The digest of the state that has applied the log up to `index`, in memory alone. */
export function digestAt(index: number): string {
  while (digests.length <= index) {
    lived.apply(logged(digests.length), new Set());
    lived.membership = alone;
    digests.push(lived.digest().digest);
    chain.push(Buffer.from(lived.trail.head).toString("hex"));
  }
  return digests[index] as string;
}

/** The audit chain's digest, hex, at `index` from 1 on. */
export function chainAt(index: number): string {
  digestAt(index);
  return chain[index - 1] as string;
}

/** The entries from `from` to `to` that tell of the box. */
export const entriesOf = (box: number, from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i).filter((i) => i % 17 !== 0 && i % boxes === box);

export interface Sent {
  readonly meta: SnapMeta;
  readonly records: readonly Uint8Array[];
}

export class DiskLife {
  readonly folder: CrashFolder;
  state: AppliedState;
  readonly disk: StateDisk;
  /** What the folder gave when it was opened. */
  readonly openedAt: number;
  /** Called in each pause of a flush. */
  meanwhile: () => void = () => undefined;

  private constructor(folder: CrashFolder, state: AppliedState, makeDisk: (pause: (f: () => void) => void) => StateDisk) {
    this.folder = folder;
    this.state = state;
    this.openedAt = state.applied.index;
    this.disk = makeDisk((f) => {
      this.meanwhile();
      queueMicrotask(f);
    });
  }

  /** Throws what opening the folder throws. */
  static async open(folder: CrashFolder): Promise<DiskLife> {
    const db = folder.open();
    const loaded = await loadState(db, boxRegistry, never);
    const state = loaded?.state ?? emptyState(boxRegistry, never);
    const meta = loaded?.meta ?? { ...headOf(state), generation: 1, disk: emptyDisk };
    return new DiskLife(folder, state, (immediate) => {
      const timing = { now: () => 0, after: () => () => undefined, immediate };
      return new StateDisk(db, meta, loaded?.packs ?? noPacks(), timing);
    });
  }

  get index(): number {
    return this.state.applied.index;
  }

  apply(count: number): void {
    for (let i = 0; i < count; i++) this.state.apply(logged(this.index + 1), new Set());
    this.state.membership = alone;
  }

  flush(): Promise<unknown> {
    return this.disk.flush(this.state);
  }

  async restore({ meta, records }: Sent): Promise<void> {
    if (meta.id.index <= this.index) return;
    const source = (async function* () {
      yield* records;
    })();
    this.state = await restoreSnapshot(this.disk, meta, source, boxRegistry, never, noPace);
  }

  /** The entries about a box from `from` on, memory and disk together. */
  history(box: number, from: number): Promise<readonly number[]> {
    return this.disk.history(this.state, `box/b${box}`, from, 10_000);
  }
}

/** The snapshot at `index` of a member that flushed after every `every` entries: its packs are cut where it flushed. */
export async function sentBy(every: number, index: number): Promise<Sent> {
  const life = await DiskLife.open(new CrashFolder());
  while (life.index < index) {
    life.apply(Math.min(every, index - life.index));
    await life.flush();
  }
  const { meta, answerPacks, view } = await life.disk.freeze(life.state);
  const records: Uint8Array[] = [];
  for await (const record of snapshotRecords(meta, answerPacks, view)) records.push(record);
  return { meta: { id: meta.applied, membership: alone, digest: meta.digest, bytes: 0 }, records };
}
