import type { AppendBatch, Entry, EntryId, HardState, LogStorage, SnapMeta } from "@aether/raft/types";

/** Entries after `prev` with the given terms; each entry's bytes name it, so that a wrong one is seen. */
export function entriesAfter(prev: EntryId, terms: readonly number[], bytes = 12): Entry[] {
  return terms.map((term, at) => ({
    term,
    index: prev.index + 1 + at,
    kind: 0,
    data: payload(term, prev.index + 1 + at, bytes),
  }));
}

const payload = (term: number, index: number, bytes: number): Uint8Array =>
  new Uint8Array(Buffer.alloc(bytes, `${term}:${index} `));

let token = 0;

/** A batch that writes `entries` after `prev`; `hard` and `snap` as given. */
export function batchOf(part: {
  readonly prev?: EntryId;
  readonly entries?: readonly Entry[];
  readonly hard?: HardState;
  readonly snap?: SnapMeta;
  readonly last?: EntryId;
  readonly sync?: boolean;
}): AppendBatch {
  const { prev, entries = [], hard = null, snap = null } = part;
  const slice = prev === undefined ? null : { leaderTerm: entries.at(-1)?.term ?? prev.term, prev, entries };
  const end = entries.at(-1) ?? prev ?? snap?.id ?? { term: 0, index: 0 };
  const last = part.last ?? { term: end.term, index: end.index };
  token++;
  return { token, term: hard?.term ?? last.term, hard, slice, snap, last, sync: part.sync ?? true, thenSend: [] };
}

export const hardState = (term: number, vote = 0, commit = 0): HardState => ({ term, vote, commit });

/** All that a log shows, as plain data. */
export function shown(log: LogStorage): { first: number; last: EntryId; entries: string[] } {
  const { view } = log;
  const last = view.last();
  const held = view.read(view.first(), last.index + 1, Number.MAX_SAFE_INTEGER);
  if (held === "compacted") throw new Error("the log says that its own first entry is compacted");
  const wrong = held.filter((e) => view.term(e.index) !== e.term);
  if (wrong.length > 0) throw new Error(`the log gives another term for entry ${wrong[0]?.index} than the entry itself`);
  return {
    first: view.first(),
    last,
    entries: held.map((e) => `${e.index}@${e.term}/${e.kind} ${Buffer.from(e.data).toString()}`),
  };
}
