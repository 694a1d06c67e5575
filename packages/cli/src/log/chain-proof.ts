/** Proves a range of the log: the digests are computed here, from the entries alone, and compared with what members recorded and signed. */
import type { Recovery } from "@aether/core/cluster/state";
import type { DomainEvent } from "@aether/core/kernel/event";
import type { AuditAnswer } from "../context/api.ts";
import { chainGenesis, chainNext } from "@aether/store/events/audit-chain";
import { decodeEntry } from "@aether/store/events/entry-codec";
import { checkpointStatement } from "@aether/node/controllers/checkpoint";
import { verify } from "@aether/node/identity/signing";

export interface Proof {
  readonly verified: true;
  readonly from: number;
  readonly to: number;
  readonly entries: number;
  /** Hex, the digest after the last entry. */
  readonly chain: string;
  /** Signed checkpoints that were found in the range; each covers everything up to its index. */
  readonly checkpoints: number;
  /** The highest index that a signature covers, null for none. */
  readonly signedUpTo: number | null;
  /** Checkpoints of a cluster before this one that had another CA: they prove nothing here. */
  readonly foreign: number;
}

export interface Disproof {
  readonly verified: false;
  readonly index: number;
  readonly why: string;
}

interface Checkpoint {
  readonly upTo: number;
  readonly chain: string;
  readonly state: string;
  readonly signer: string;
  readonly certificate: string;
  readonly signature: string;
}

/** A cluster that lost its quorum for good, and the last entry that was its own. */
export type Predecessor = Pick<Recovery, "clusterId" | "upTo">;

/** Feed it pages in order; it holds one digest for each entry that a later checkpoint may name, at most `rememberedMax`. */
export class ChainProof {
  private readonly clusterId: string;
  private readonly caPem: string;
  private readonly before: readonly Predecessor[];
  private readonly digests = new Map<number, string>();
  private head: Uint8Array | null = null;
  private from = 0;
  private to = 0;
  private entries = 0;
  private checkpoints = 0;
  private signedUpTo: number | null = null;
  private foreign = 0;

  /** `before`: the clusters that this one was recovered from, oldest first. */
  constructor(clusterId: string, caPem: string, before: readonly Predecessor[] = []) {
    this.clusterId = clusterId;
    this.caPem = caPem;
    this.before = before;
  }

  /** Null when the page continues the chain, otherwise where and why it does not. */
  add(page: AuditAnswer): Disproof | null {
    const head = this.head ?? Buffer.from(page.before, "hex");
    if (this.head === null) this.from = page.from;
    if (page.from === 1 && Buffer.compare(head, chainGenesis) !== 0)
      return no(1, "the chain does not begin with the empty digest");
    if (hex(head) !== page.before)
      return no(
        page.from,
        `the member recorded ${page.before.slice(0, 16)}… before it, the entries give ${hex(head).slice(0, 16)}…`,
      );
    this.head = head;
    let expected = this.entries === 0 ? page.from : this.to + 1;
    for (const entry of page.entries) {
      if (entry.index !== expected) return no(expected, `entry ${entry.index} stands where ${expected} must`);
      const wrong = this.addEntry(entry);
      if (wrong !== null) return wrong;
      expected += 1;
    }
    if (hex(this.head) !== page.after) {
      return no(
        page.to,
        `the member recorded ${page.after.slice(0, 16)}… after it, the entries give ${hex(this.head).slice(0, 16)}…`,
      );
    }
    return null;
  }

  private addEntry(entry: AuditAnswer["entries"][number]): Disproof | null {
    const data = Buffer.from(entry.data, "base64");
    this.head = chainNext(this.head ?? chainGenesis, entry.index, entry.term, entry.kind, data);
    this.to = entry.index;
    this.entries += 1;
    this.remember(entry.index, hex(this.head));
    if (entry.kind !== normalEntry || data.length === 0) return null;
    for (const event of decodeEntry(data).events) {
      const wrong = this.addEvent(event, entry.index);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  private addEvent(event: DomainEvent, at: number): Disproof | null {
    if (event.type === "CheckpointRecorded") return this.check(event as unknown as Checkpoint, at);
    if (event.type !== "ClusterRecovered") return null;
    const { upTo, chain } = event as unknown as Pick<Recovery, "upTo" | "chain">;
    const own = this.digests.get(upTo);
    if (own === undefined || own === chain) return null;
    return no(upTo, `the cluster was recovered with ${chain.slice(0, 16)}… for it, the entries give ${own.slice(0, 16)}…`);
  }

  private remember(index: number, digest: string): void {
    this.digests.set(index, digest);
    if (this.digests.size > rememberedMax) this.digests.delete(this.digests.keys().next().value ?? 0);
  }

  private check(c: Checkpoint, at: number): Disproof | null {
    const past = this.before.find(({ upTo }) => at <= upTo);
    const clusterId = past?.clusterId ?? this.clusterId;
    const statement = checkpointStatement({
      clusterId,
      upTo: c.upTo,
      chain: c.chain,
      state: c.state,
      signer: c.signer,
    });
    const verdict = verify(c.certificate, this.caPem, statement, c.signature);
    // A cluster that is no more may have had another secret, and so another CA: its word counts for nothing, but is no fraud.
    if (!verdict.ok && verdict.why === "foreignCa" && past !== undefined) {
      this.foreign += 1;
      return null;
    }
    if (!verdict.ok) return no(at, `the checkpoint of ${c.upTo} is not a member's: ${verdict.detail}`);
    if (verdict.signer.clusterId !== clusterId) return no(at, `the checkpoint was signed in cluster ${verdict.signer.clusterId}`);
    const own = this.digests.get(c.upTo);
    // Before the range: the signature is good, but there is nothing here to compare it with.
    if (own === undefined) return null;
    if (own !== c.chain)
      return no(c.upTo, `${c.signer} signed ${c.chain.slice(0, 16)}… for it, the entries give ${own.slice(0, 16)}…`);
    this.checkpoints += 1;
    this.signedUpTo = c.upTo;
    return null;
  }

  result(): Proof {
    return {
      verified: true,
      from: this.from,
      to: this.to,
      entries: this.entries,
      chain: hex(this.head ?? chainGenesis),
      checkpoints: this.checkpoints,
      signedUpTo: this.signedUpTo,
      foreign: this.foreign,
    };
  }
}

/** An entry of commands' events, as the log numbers its kinds; the others are consensus's own. */
const normalEntry = 0;
/** Far more than lie between an entry and the checkpoint that covers it. */
const rememberedMax = 100_000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const no = (index: number, why: string): Disproof => ({ verified: false, index, why });
