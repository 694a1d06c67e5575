/**
 * What a member shows of the past when all is quiet: the audit chain over the log's entries leads from the digest before them to
 * the one after, and what is shown of a thing is all that was ever said of it from where the member's history begins, with nothing left
 * out. Where it begins differs: a snapshot brings no history, and what is compacted is gone.
 */
import type { LogView, NodeId } from "@aether/raft/types";
import { chainNext } from "@aether/store/events/audit-chain";
import type { AuditRange, EventStore } from "@aether/store/types";
import type { History } from "./history.ts";
import { hold } from "./violation.ts";

/** Entries looked at: the oldest that the log holds. More than a life has. */
const entriesMax = 1_000;

export async function checkPast(history: History, member: NodeId, store: EventStore, log: LogView): Promise<void> {
  // What is still being applied, at this member or at others, is left for another time.
  const { applied } = store;
  for (const [thing, all] of history.about) {
    const slash = thing.indexOf("/");
    const indexes = all.filter((index) => index <= applied);
    const known = await store.history(thing.slice(0, slash), thing.slice(slash + 1), 1, entriesMax);
    // compaction may go on meanwhile
    const { historyFirst: now } = store.stats();
    const shown = known.filter((index) => index >= now && index <= applied);
    const expected = indexes.filter((index) => index >= now);
    const differs = (): string =>
      `member ${member} shows ${shown.join()} for ${thing}, which is in ${expected.join()} from ${now} on`;
    if (shown.length < entriesMax) hold(shown.join() === expected.join(), "history leaves nothing out", differs);
  }
  const range = await store.auditRange(log.first(), entriesMax);
  if (!("compacted" in range)) checkChain(member, range);
}

function checkChain(member: NodeId, { from, to, before, after, entries }: AuditRange): void {
  let chain: Uint8Array = Buffer.from(before, "hex");
  for (const { index, term, kind, data } of entries) chain = chainNext(chain, index, term, kind, data);
  const proven = Buffer.from(chain).toString("hex") === after;
  hold(proven, "the audit chain is proven", () => `member ${member}'s entries ${from} to ${to} do not lead to its digest`);
}
