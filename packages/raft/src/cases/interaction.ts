import { decodeConfigChange } from "../config-change.ts";
import { collect, hasNews } from "../core/ready.ts";
import { sendDue } from "../core/sending.ts";
import {
  type AppendBatch,
  type Change,
  type ConfigChange,
  type Entry,
  type Envelope,
  type Input,
  Kind,
  type Membership,
  type NodeId,
  type Ready,
  type SnapMeta,
  type Term,
} from "../types.ts";
import { Lone, type LoneSetup } from "./lone.ts";

const maxRounds = 1000;

/** Something seen to happen while a command ran. */
export type Fact =
  | { readonly node: NodeId; readonly became: string; readonly term: Term }
  | { readonly node: NodeId; readonly config: Membership }
  | { readonly node: NodeId; readonly unpromotable: true }
  | { readonly proposalDropped: true };

/** A message under way, or the word of a node's own disk or state machine, which no network can lose. */
interface Mail {
  readonly to: NodeId;
  readonly type: string;
  readonly local: boolean;
  readonly input: Input;
}

/** One node of the environment: a core, its disk and its state machine, each moved by commands only. */
class Member {
  readonly lone: Lone;
  readonly async: boolean;
  readonly appendWork: AppendBatch[] = [];
  readonly applyWork: (readonly Entry[])[] = [];
  snapshot: SnapMeta;

  constructor(lone: Lone, async: boolean) {
    this.lone = lone;
    this.async = async;
    const { r } = lone;
    this.snapshot = { id: r.log.last(), membership: r.membership(), digest: "d", bytes: 1 };
  }
}

/** The members and the mail between them, as etcd/raft's interaction scripts expect them to behave. */
export class Environment {
  readonly members: Member[] = [];
  facts: Fact[] = [];
  private mail: Mail[] = [];

  add(setup: LoneSetup, async: boolean): void {
    const id = this.members.length + 1;
    const member = new Member(new Lone({ ...setup, id }), async);
    this.members.push(member);
    const { r } = member.lone;
    this.facts.push({ node: id, config: r.membership() }, { node: id, became: "follower", term: r.term });
  }

  member(id: NodeId): Member {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`no node ${id}`);
    return member;
  }

  /** Steps one input, notes what changed by it, and sends at once what it made due, as upstream does. */
  step(id: NodeId, input: Input): void {
    const { lone } = this.member(id);
    const { r } = lone;
    const before = { state: r.state, term: r.term, membership: r.membership() };
    const outcome = lone.step(input);
    if (r.membership() !== before.membership) this.facts.push({ node: id, config: r.membership() });
    if (r.state !== before.state || r.term !== before.term) {
      this.facts.push({ node: id, became: r.state.toLowerCase(), term: r.term });
    }
    if (input.k === "propose" && outcome?.ok === false) this.facts.push({ proposalDropped: true });
    if (input.k === "campaign" && r.state === "follower" && before.state === "follower")
      this.facts.push({ node: id, unpromotable: true });
    sendDue(r);
  }

  processReady(id: NodeId): void {
    const member = this.member(id);
    const ready = collect(member.lone.r);
    this.post(ready.send);
    for (const { to } of ready.snapshotTo) this.sendSnapshot(id, to);
    if (!member.async) {
      this.processAtOnce(id, ready);
      return;
    }
    // Upstream's candidates ask before their own vote is durable; the order of its scripts is kept.
    const early = (ready.append?.thenSend ?? []).filter(({ m }) => m.t === "vote");
    this.post(early);
    if (ready.append !== null) {
      const thenSend = ready.append.thenSend.filter((e) => !early.includes(e));
      member.appendWork.push({ ...ready.append, thenSend });
    }
    if (ready.apply.length > 0) member.applyWork.push(ready.apply);
  }

  processAppend(id: NodeId): void {
    const { lone, appendWork } = this.member(id);
    const batch = appendWork.shift();
    if (batch === undefined) return;
    lone.log.write([batch]);
    this.post(batch.thenSend);
    this.mail.push({ to: id, type: "stored", local: true, input: storedInput(batch) });
  }

  processApply(id: NodeId): void {
    const entries = this.member(id).applyWork.shift();
    if (entries === undefined) return;
    this.applyEntries(id, entries);
    this.mail.push({ to: id, type: "applied", local: true, input: appliedInput(entries) });
  }

  /** Delivers, or loses, all mail to one node that there is now. */
  deliver(to: NodeId, lose: boolean, type?: string): number {
    const mine = this.mail.filter(
      (mail) => mail.to === to && !(lose && mail.local) && (type === undefined || mail.type === type),
    );
    this.mail = this.mail.filter((mail) => !mine.includes(mail));
    if (!lose) for (const mail of mine) this.step(to, mail.input);
    return mine.length;
  }

  /** Lets these nodes do everything there is to do, until there is nothing. */
  stabilize(ids: readonly NodeId[]): void {
    for (let round = 0; round < maxRounds; round++) {
      let busy = false;
      for (const id of ids) {
        if (!hasNews(this.member(id).lone.r)) continue;
        this.processReady(id);
        busy = true;
      }
      for (const id of ids) busy = this.deliver(id, false) > 0 || busy;
      for (const id of ids) {
        for (; this.member(id).appendWork.length > 0; busy = true) this.processAppend(id);
      }
      for (const id of ids) {
        for (; this.member(id).applyWork.length > 0; busy = true) this.processApply(id);
      }
      if (!busy) return;
    }
    throw new Error("the nodes never come to rest");
  }

  sendSnapshot(from: NodeId, to: NodeId): void {
    const { lone, snapshot } = this.member(from);
    this.post([{ from, to, term: lone.r.term, m: { t: "snapOffer", meta: snapshot } }]);
  }

  private post(envelopes: readonly Envelope[]): void {
    for (const e of envelopes) this.mail.push({ to: e.to, type: e.m.t, local: e.to === e.from, input: { k: "recv", e } });
  }

  /** Disk and state machine answer before the command ends. Entries that became durable with this write are applied too. */
  private processAtOnce(id: NodeId, ready: Ready): void {
    const { lone } = this.member(id);
    const { append } = ready;
    const apply = [...ready.apply];
    if (append !== null) {
      lone.log.write([append]);
      this.step(id, storedInput(append));
      apply.push(...lone.r.log.nextApply());
    }
    this.applyEntries(id, apply);
    this.post(append?.thenSend.filter((e) => e.to !== id) ?? []);
    for (const e of append?.thenSend ?? []) if (e.to === id) this.step(id, { k: "recv", e });
    if (apply.length > 0) this.step(id, appliedInput(apply));
  }

  private applyEntries(id: NodeId, entries: readonly Entry[]): void {
    const member = this.member(id);
    for (const e of entries) {
      if (e.kind === Kind.config) this.step(id, { k: "configApplied", index: e.index, change: decodeConfigChange(e.data) });
      member.snapshot = { ...member.snapshot, id: { index: e.index, term: e.term }, membership: member.lone.r.membership() };
    }
  }
}

function storedInput(batch: AppendBatch): Input {
  return { k: "stored", token: batch.token, term: batch.term, last: batch.last, snap: batch.snap?.id.index ?? 0 };
}

function appliedInput(entries: readonly Entry[]): Input {
  const bytes = entries.reduce((sum, e) => sum + e.data.length, 0);
  return { k: "applied", index: entries[entries.length - 1]!.index, bytes };
}

const changeLetters: Record<string, Change["op"]> = { v: "addVoter", l: "addLearner", r: "remove" };

/** "v2 l3 r1" as a change; no words leave a joint membership. */
export function changeOf(words: string, transition: ConfigChange["transition"]): ConfigChange {
  const changes = words.split(" ").filter((w) => w !== "");
  return {
    changes: changes.map((w) => ({ op: changeLetters[w[0]!]!, id: Number(w.slice(1)) })),
    transition,
    leave: changes.length === 0,
    context: new Uint8Array(0),
  };
}
