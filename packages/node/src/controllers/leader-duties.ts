/**
 * What only the leader does: it records that it leads, keeps the membership as the rows want it, judges silence, and signs
 * checkpoints. One act at a time; what a deposed leader had begun, the next one finds undone in the rows and does again.
 */
import { theCluster } from "@aether/core/cluster/state";
import type { Command } from "@aether/core/kernel/command";
import type { NodeId } from "@aether/raft/types";
import type { Answer } from "@aether/store/types";
import type { Log } from "../daemon/log.ts";
import type { RunningMember } from "../member/member.ts";
import { checkpointDue, type CheckpointPace, checkpointStatement } from "./checkpoint.ts";
import { makeContactClock, type ContactClock } from "./contact.ts";
import { makeMembershipKeeper, type MembershipKeeper } from "./membership.ts";

export interface LeaderDutiesOptions {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly node: string;
  readonly member: Pick<RunningMember, "store" | "driver">;
  /** This member's certificate (PEM), and what its key makes of a statement. */
  readonly signer: { readonly certificate: string; readonly sign: (statement: Uint8Array) => string };
  /** How often checkpoints are due. */
  readonly checkpoints?: CheckpointPace;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since a member's last word; null before the first. */
  readonly heardAgoMs: (member: NodeId) => number | null;
}

/** Between two looks at rows and clocks. */
const lookMs = 200;

/** Starts looking; the function returned ends it. */
export function startLeaderDuties(o: LeaderDutiesOptions): () => void {
  const duties = makeLeaderDuties(o);
  let busy = false;
  const timer = setInterval(() => {
    duties.observeRole();
    if (busy) return;
    busy = true;
    void duties
      .look()
      .catch((error: unknown) => o.log.error("duty-failed", { message: error instanceof Error ? error.message : String(error) }))
      .finally(() => (busy = false));
  }, lookMs);
  return () => {
    duties.stopped = true;
    clearInterval(timer);
  };
}

/** What has to be called every so often. */
export interface LeaderDuties {
  /** Set when nothing more may be begun. */
  stopped: boolean;
  observeRole(): void;
  look(): Promise<void>;
}

export const makeLeaderDuties = (o: LeaderDutiesOptions): LeaderDuties => new Duties(o);

class Duties implements LeaderDuties {
  stopped = false;
  readonly #o: LeaderDutiesOptions;
  readonly #contact: ContactClock;
  readonly #membership: MembershipKeeper;
  /** Newest checkpoint seen, and when. */
  #checkpoint = { recordedAt: 0, since: 0 };

  constructor(o: LeaderDutiesOptions) {
    this.#o = o;
    this.#contact = makeContactClock(o.now);
    this.#membership = makeMembershipKeeper({
      node: o.node,
      world: o.member.store.world,
      raft: o.member.driver,
      silenceOf: (members) => this.#contact.ages(members, (id) => this.#heardAt(id)),
      submit: (command) => this.submit(command),
      log: o.log,
    });
  }

  observeRole(): void {
    const { role } = this.#o.member.store;
    this.#contact.onRole(role);
    if (role.state !== "leader") this.#membership.forget();
  }

  /** One look: does at most one thing of each kind that is due. */
  async look(): Promise<void> {
    const { store } = this.#o.member;
    if (this.stopped || store.role.state !== "leader" || theCluster(store.world) === undefined) return;
    await this.#membership.look();
    if (!this.stopped && store.role.state === "leader") await this.#recordCheckpoint();
  }

  /** Submits as this member. Refusals are for the caller to judge; nothing is retried here, the next look does that. */
  submit(command: Command): Promise<Answer> {
    const actor = { name: this.#o.node, role: "member" } as const;
    return new Promise((resolve) => this.#o.member.store.submit({ command, actor, request: null }, resolve));
  }

  async #recordCheckpoint(): Promise<void> {
    const { store } = this.#o.member;
    const { cluster, node, signer, checkpoints, log, now } = this.#o;
    const recordedAt = theCluster(store.world)?.row.checkpoint?.index ?? 0;
    if (recordedAt !== this.#checkpoint.recordedAt || this.#checkpoint.since === 0) {
      this.#checkpoint = { recordedAt, since: now() };
    }
    if (!checkpointDue(this.#checkpoint, store.applied, now(), checkpoints)) return;
    const { index: upTo, chain } = store.auditHead();
    const { digest: state } = store.stateDigest();
    const signature = signer.sign(checkpointStatement({ clusterId: cluster.id, upTo, chain, state, signer: node }));
    const facts = { upTo, chain, state, signer: node, certificate: signer.certificate, signature };
    const answer = await this.submit({ type: "RecordCheckpoint", id: cluster.name, ...facts });
    if (!answer.ok) log.warn("checkpoint-refused", { upTo, reason: answer.rejection.reason, message: answer.rejection.message });
  }

  #heardAt(member: NodeId): number | undefined {
    const ago = this.#o.heardAgoMs(member);
    return ago === null ? undefined : this.#o.now() - ago;
  }
}
