import type { RaftState } from "./state.ts";

/** The whole state as one line of text: equal states give equal lines, whatever way led to them. */
export function digestOf(r: RaftState): string {
  const { log } = r;
  const { unstable } = log;
  const m = r.membership();
  const reads = [r.earlyReads, r.unconfirmedReads].map((list) => list.map((w) => `${w.from}:${w.key}@${w.index}`).join());
  return [
    `${r.id} ${r.state} t${r.term} v${r.vote} l${r.leader} e${r.electionElapsed}/${r.electionTimeout} h${r.heartbeatElapsed}`,
    `log ${log.firstIndex()}..${log.lastIndex()} c${log.committed} a${log.applying}/${log.applied}`,
    `tail ${unstable.offset}/${unstable.inProgress} ${unstable.entries.map((e) => e.term).join()} snap ${unstable.snap?.id.index ?? 0}`,
    `members ${m.voters.join()}|${m.outgoing.join()}|${m.learners.join()}|${m.learnersNext.join()}|${m.autoLeave}`,
    r.tracker.peers
      .map(
        (p) =>
          `${p.id}:${p.state}${p.match}/${p.next}+${p.inflights.count}${p.isPaused() ? "p" : ""}${p.active ? "a" : ""}r${p.readAck}`,
      )
      .join(" "),
    `conf ${r.pendingConfIndex} quota ${r.uncommittedBytes} to ${r.transferee}/${r.transferElapsed} sick ${r.sick}/${r.sickTicks}`,
    `reads ${reads.join("|")} ${r.confirmedReads} ${r.forwardedReads.map((f) => f.key).join()}`,
    `own ${r.ownRuns.map((o) => `${o.first}-${o.last}@${o.term}`).join()} removed ${[...r.removed].join(" ")} ${r.selfRemoved}`,
    `rejected ${r.rejectedMessages} token ${r.storedToken}/${r.token}`,
  ].join("; ");
}
