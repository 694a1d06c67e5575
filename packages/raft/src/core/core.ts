import type { Boot, CoreOptions, CoreStatus, Input, LogView, NodeId, Outcome, Progress, RaftCore, Ready } from "../types.ts";
import { digestOf } from "./digest.ts";
import { checkStep, type Marks, marksOf, WholeChecks } from "./invariants.ts";
import { collect, hasNews } from "./ready.ts";
import { becomeFollower } from "./roles.ts";
import { RaftState } from "./state.ts";
import { step } from "./step.ts";

/**
 * One member's consensus as a pure step function. It does no I/O, reads no clock and starts nothing: inputs go in through
 * `step`, what is to be written, sent and applied comes out of `take`. The contract between the two is `README.md`.
 *
 * Throws {@link Broken} when what was booted from contradicts itself.
 */
export function makeCore(options: CoreOptions, boot: Boot, log: LogView): RaftCore {
  return new Core(new RaftState(options, boot, log));
}

class Core implements RaftCore {
  private readonly r: RaftState;
  private readonly marks: Marks;
  private readonly whole: WholeChecks | null;

  constructor(r: RaftState) {
    becomeFollower(r, r.term, 0);
    this.r = r;
    this.marks = marksOf(r);
    this.whole = r.options.checks === "full" ? new WholeChecks() : null;
  }

  step(i: Input): Outcome | undefined {
    const outcome = step(this.r, i);
    checkStep(this.r, this.marks);
    this.whole?.check(this.r);
    return outcome;
  }

  pending(): boolean {
    return hasNews(this.r);
  }

  take(): Ready {
    return collect(this.r);
  }

  status(): CoreStatus {
    const { r } = this;
    const progress = new Map<NodeId, Progress>();
    if (r.state === "leader") for (const peer of r.tracker.peers) progress.set(peer.id, peer.view());
    return {
      id: r.id,
      role: { state: r.state, term: r.term, leader: r.leader },
      hard: { term: r.term, vote: r.vote, commit: r.log.committed },
      applied: r.log.applied,
      last: r.log.last(),
      membership: r.membership(),
      progress,
      transferee: r.transferee,
      rejectedMessages: r.rejectedMessages,
    };
  }

  digest(): string {
    return digestOf(this.r);
  }
}
