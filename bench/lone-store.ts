/** A member's event store by itself, for benches without consensus, and the entries to feed it. */
import { join } from "node:path";
import type { Identity } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import type { Entry, LogView, Membership } from "@aether/raft/types";
import { Kind } from "@aether/raft/types";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { openEventStore } from "@aether/store/events/open";
import { openSnapshots } from "@aether/store/snapshots";
import type { EventStore } from "@aether/store/types";

export const actor: Identity = { name: "bench", role: "operator" };
export const alone: Membership = { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
const padding = "x".repeat(256);
export const valueOf = (n: number): string => `${n} ${padding}`.slice(0, padding.length);

/** `count` entries after `behind`, as a leader's log holds them: a setting of 256 bytes each, from four clients. */
export function entriesAfter(behind: number, count: number, keys: number): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const n = behind + i;
    const request = {
      client: `operator:bench-${n % 4}`,
      id: `12345-1763000000000-run-${n}`,
      fingerprint: "0123456789abcdef",
      version: 1 + Math.floor(n / keys),
    };
    const event = { type: "SettingChanged", v: 1, id: `bench/k${n % keys}`, value: valueOf(n), description: "" };
    const data = encodeEntry({ at: 1_763_000_000_000 + n, actor, cause: "SetSetting", request, events: [event] });
    return { index: n + 1, term: 1, kind: Kind.normal, data };
  });
}

/** A log that nobody reads. */
const noLog: LogView = { first: () => 1, last: () => ({ index: 0, term: 0 }), term: () => "beyond", read: () => [] };

function onFatal(e: Error): never {
  throw e;
}

/** Opens the store of a folder with the limits of a running member, and no snapshots. */
export async function openLoneStore(dir: string): Promise<EventStore> {
  const limits = { flushMs: 2_000, flushRows: 10_000, keepEntries: 100_000, snapshotEveryEntries: 1e9, maxInFlight: 4_096 };
  const options = { dir: join(dir, "state"), now: Date.now, drawBits: () => "0".repeat(32), onFatal, ...limits };
  return openEventStore(options, registry, noLog, await openSnapshots(join(dir, "snap")));
}
