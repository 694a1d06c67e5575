/**
 * Refused connections and denied requests, counted in memory until somebody records them. Whoever hammers at the door
 * costs a counter, not a log entry: alike refusals share one line, and kinds beyond the limit share a last one.
 */

export interface Refusal {
  /** What was refused and why, e.g. "connect: no certificate" or "PUT /v1/settings". */
  readonly what: string;
  /** "role:name" from the certificate, or "" when there was none to believe. */
  readonly identity: string;
  /** Remote IP address without the port. */
  readonly address: string;
  readonly count: number;
}

export interface RefusalLedger {
  note(what: string, identity: string, address: string): void;
  /** Takes out all that was counted. */
  drain(): readonly Refusal[];
  /** Counts again what could not be recorded. */
  putBack(refusals: readonly Refusal[]): void;
  /** Since start, including what was recorded. */
  readonly total: number;
}

/** Kinds kept apart at a time; see {@link overflow}. */
export const kindsMax = 64;
const textCharsMax = 128;
/** Where refusals go once there are too many kinds to keep apart. */
export const overflow = { what: "several: too many kinds to tell apart", identity: "", address: "" } as const;

export function makeRefusalLedger(): RefusalLedger {
  let kinds = new Map<string, Refusal>();
  let total = 0;
  const add = (refusal: Refusal): void => {
    const wanted = `${refusal.what}\n${refusal.identity}\n${refusal.address}`;
    const known = kinds.has(wanted) || kinds.size < kindsMax;
    const row = known ? refusal : { ...overflow, count: refusal.count };
    const key = known ? wanted : overflow.what;
    kinds.set(key, { ...row, count: row.count + (kinds.get(key)?.count ?? 0) });
  };
  return {
    note: (what, identity, address) => {
      total++;
      add({ what: cut(what), identity: cut(identity), address: cut(address), count: 1 });
    },
    drain: () => {
      const all = [...kinds.values()];
      kinds = new Map();
      return all;
    },
    putBack: (refusals) => refusals.forEach(add),
    get total() {
      return total;
    },
  };
}

/** Text that came from outside: bounded, and without control characters. */
function cut(text: string): string {
  return text.replace(/\p{Cc}/gu, "?").slice(0, textCharsMax);
}
