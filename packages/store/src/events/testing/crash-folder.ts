/**
 * A state folder in memory whose process can die at any write. A batch is whole or absent; one that was not synced may be gone
 * although later, synced ones are there: LevelDB begins a new log file with each memtable and syncs only the newest.
 */
import type { Pair, Range, StateDb, StateOp } from "../state-db.ts";

interface Batch {
  readonly ops: readonly (readonly [key: string, value: Buffer | null])[];
  readonly synced: boolean;
}

type Values = ReadonlyMap<string, Buffer>;

const text = (key: Uint8Array): string => Buffer.from(key).toString("latin1");

function valuesOf(batches: readonly Batch[]): Values {
  const values = new Map<string, Buffer>();
  for (const { ops } of batches) {
    for (const [key, value] of ops) {
      if (value === null) values.delete(key);
      else values.set(key, value);
    }
  }
  return values;
}

const pairsOf = (values: Values, { gte, lt }: Range): Pair[] =>
  [...values]
    .filter(([key]) => key >= text(gte) && key < text(lt))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [Buffer.from(key, "latin1"), Buffer.from(value)] as const);

/** Several to a page, so that there is something between two pages. */
async function* pagesOf(pairs: readonly Pair[]): AsyncGenerator<readonly Pair[]> {
  await Promise.resolve();
  for (let i = 0; i < pairs.length; i += 7) yield pairs.slice(i, i + 7);
}

export class CrashFolder {
  private batches: Batch[] = [];
  private writesLeft = Number.POSITIVE_INFINITY;
  private flying: Batch | null = null;
  private dies = (): void => undefined;
  /** Ends when the write that {@link dieAtWrite} named has begun; nobody hears of that one's end. */
  died = new Promise<"died">(() => undefined);

  open(): StateDb {
    const values = (): Values => valuesOf(this.batches);
    return {
      write: (ops) => this.put(ops, true),
      get: (key) => Promise.resolve(values().get(text(key))),
      scan: (range) => pagesOf(pairsOf(values(), range)),
      last: (range) => Promise.resolve(pairsOf(values(), range).at(-1)),
      view: () => {
        const frozen = values();
        return { scan: (range) => pagesOf(pairsOf(frozen, range)), close: () => Promise.resolve() };
      },
      clear: (range) =>
        this.put(
          pairsOf(values(), range).map(([key]) => ({ type: "del", key })),
          false,
        ),
      close: () => Promise.resolve(),
    };
  }

  /** The process dies while the `n`th write from now, from 1 on, is under way. */
  dieAtWrite(n: number): void {
    this.writesLeft = n;
    this.died = new Promise((resolve) => (this.dies = () => resolve("died")));
  }

  /** How many batches a crash now could take back: those that were not synced, and the one under way. */
  get undecided(): number {
    return this.batches.filter(({ synced }) => !synced).length + (this.flying === null ? 0 : 1);
  }

  /** What a crash leaves: of the undecided batches, oldest first, those that `keeps` names. */
  afterCrash(keeps: (place: number) => boolean): CrashFolder {
    const left = new CrashFolder();
    let place = 0;
    const flying = this.flying === null ? [] : [{ ...this.flying, synced: false }];
    left.batches = [...this.batches, ...flying].filter(({ synced }) => synced || keeps(place++));
    // what the next start finds of the one that was under way stays
    if (this.flying !== null && left.batches.at(-1) === flying[0]) left.batches[left.batches.length - 1] = this.flying;
    return left;
  }

  private put(ops: readonly StateOp[], synced: boolean): Promise<void> {
    if (this.writesLeft <= 0) return new Promise(() => undefined);
    const batch: Batch = { ops: ops.map((op) => [text(op.key), op.type === "put" ? Buffer.from(op.value) : null]), synced };
    if (--this.writesLeft === 0) {
      this.flying = batch;
      this.dies();
      return new Promise(() => undefined);
    }
    return Promise.resolve().then(() => {
      this.batches.push(batch);
    });
  }
}
