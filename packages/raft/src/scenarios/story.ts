import { firstMembersLog } from "../memory-log.ts";
import type { Change, ConfigChange, Envelope, Msg, NodeId, Outcome, Progress } from "../types.ts";
import { received, StoryMember, type Telling } from "./member.ts";

const maxMessages = 10_000;

/** A snapshot's data under way. */
interface Stream {
  readonly from: NodeId;
  readonly to: NodeId;
}

/**
 * A cluster that a text file commands. Every command returns what became of it, one line each; nothing moves by itself: time
 * passes by `tick`, messages arrive by `deliver` or `settle`.
 */
export class Story implements Telling {
  private readonly members = new Map<NodeId, StoryMember>();
  private mail: Envelope[] = [];
  private streams: Stream[] = [];
  private readonly cuts = new Set<string>();
  private lines: string[] = [];

  run(command: string): string {
    const [name, ...words] = command.split(" ");
    const action = this.commands[name!];
    if (action === undefined) throw new Error(`no such command: ${command}`);
    this.lines = [];
    action(words);
    return this.lines.length === 0 ? "ok" : this.lines.join("\n");
  }

  say(line: string): void {
    this.lines.push(line);
  }

  send(envelopes: readonly Envelope[]): void {
    this.mail.push(...envelopes);
  }

  askSnapshot(from: NodeId, to: NodeId, atLeast: number): void {
    this.say(`${from} wants to send ${to} a snapshot at ${atLeast} or later`);
    this.streams.push({ from, to });
  }

  private readonly commands: Record<string, (words: string[]) => void> = {
    cluster: ([size, , leader]) => this.cluster(Number(size), Number(leader ?? 0)),
    join: ([id]) => void this.members.set(Number(id), new StoryMember(Number(id), {}, this)),
    tick: ([ids, times]) => {
      for (let i = 0; i < Number(times ?? 1); i++) {
        for (const id of this.idsOf(ids!)) this.at(id, (m) => m.step({ k: "tick" }));
      }
    },
    campaign: ([id]) => this.at(Number(id), (m) => m.step({ k: "campaign" })),
    propose: ([id, ...texts]) => {
      const data = texts.map((text) => new TextEncoder().encode(text));
      this.at(Number(id), (m) => this.outcome(m.step({ k: "propose", data })));
    },
    change: ([id, ...words]) => this.at(Number(id), (m) => this.outcome(m.step({ k: "change", change: changeOf(words) }))),
    read: ([id, key]) => this.at(Number(id), (m) => this.outcome(m.step({ k: "read", key: Number(key) }))),
    transfer: ([id, to]) => this.at(Number(id), (m) => this.outcome(m.step({ k: "transfer", to: Number(to) }))),
    stall: ([id, how]) => this.at(Number(id), (m) => m.step({ k: "stall", sick: how === "sick" })),
    unreachable: ([id, to]) => this.at(Number(id), (m) => m.step({ k: "unreachable", to: Number(to) })),
    settle: () => this.settle(),
    deliver: ([ids, type]) => this.idsOf(ids!).forEach((id) => this.deliver(id, type as Msg["t"] | undefined)),
    lose: ([id]) => {
      const before = this.mail.length;
      this.mail = this.mail.filter((e) => e.to !== Number(id));
      this.say(`lost ${before - this.mail.length} messages to ${id}`);
    },
    messages: () => this.mail.forEach((e) => this.say(messageText(e))),
    cut: (ids) => {
      const [a, b] = ids.map(Number);
      for (const other of b === undefined ? this.members.keys() : [b]) this.cuts.add(`${a}-${other}`).add(`${other}-${a}`);
    },
    heal: () => this.cuts.clear(),
    disk: ([id, how]) => this.disk(Number(id), how!),
    crash: ([id]) => this.member(Number(id)).crash(),
    restart: ([id]) => this.at(Number(id), (m) => m.restart()),
    snapshot: ([id]) => this.at(Number(id), (m) => m.takeSnapshot()),
    log: ([id]) => this.log(Number(id)),
    status: ([id]) => this.status(Number(id)),
  };

  /** "cluster 3" starts three first members; "cluster 3 led-by 1" also tells in one line that member 1 was elected. */
  private cluster(size: number, leader: NodeId): void {
    const ids = Array.from({ length: size }, (_, i) => i + 1);
    for (const id of ids) this.members.set(id, new StoryMember(id, firstMembersLog(ids), this));
    for (const id of ids) this.workAt(id);
    if (leader === 0) return;
    this.at(leader, (m) => m.step({ k: "campaign" }));
    this.settle();
    const { role, last } = this.member(leader).core!.status();
    this.lines = [`${role.leader} leads ${size} members in term ${role.term}, all have applied ${last.index}`];
  }

  private member(id: NodeId): StoryMember {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  private idsOf(word: string): NodeId[] {
    return word === "all" ? [...this.members.keys()] : word.split(",").map(Number);
  }

  private at(id: NodeId, act: (m: StoryMember) => void): void {
    act(this.member(id));
    this.workAt(id);
  }

  /** Own answers to oneself do not travel: they are back before anything else happens. */
  private workAt(id: NodeId): void {
    const member = this.member(id);
    for (;;) {
      const worked = member.work();
      const own = this.mail.filter((e) => e.to === id && e.from === id);
      this.mail = this.mail.filter((e) => !own.includes(e));
      for (const e of own) member.step({ k: "recv", e });
      if (!worked && own.length === 0) return;
    }
  }

  private outcome(outcome: Outcome | undefined): void {
    if (outcome === undefined) return;
    if (outcome.ok) this.say(`taken as ${outcome.first}..${outcome.last} in term ${outcome.term}`);
    else this.say(`refused: ${outcome.why}${outcome.leader === 0 ? "" : `, the leader is ${outcome.leader}`}`);
  }

  private settle(): void {
    for (let n = 0; this.mail.length > 0 || this.streams.length > 0; n++) {
      if (n > maxMessages) throw new Error("messages never end");
      const stream = this.streams.shift();
      if (stream !== undefined) this.stream(stream);
      else this.receive(this.mail.shift()!);
    }
  }

  private deliver(to: NodeId, type: Msg["t"] | undefined): void {
    const mine = this.mail.filter((e) => e.to === to && (type === undefined || e.m.t === type));
    this.mail = this.mail.filter((e) => !mine.includes(e));
    for (const e of mine) this.receive(e);
  }

  private receive(e: Envelope): void {
    const member = this.members.get(e.to);
    if (member === undefined || member.core === null || this.cuts.has(`${e.from}-${e.to}`)) return;
    if (e.m.t === "removed") this.say(`${e.to} hears from ${e.from} that it was removed`);
    this.at(e.to, (m) => m.step({ k: "recv", e }));
  }

  /** A snapshot's data arrives whole or not at all; the leader is told either way. */
  private stream({ from, to }: Stream): void {
    const sender = this.member(from);
    const { snapshot, core } = sender;
    if (snapshot === null || core === null) throw new Error(`${from} has no snapshot to send`);
    const arrives = this.members.get(to)?.core !== null && !this.cuts.has(`${from}-${to}`);
    const { meta } = snapshot;
    if (arrives) {
      received.set(meta, snapshot);
      this.receive({ from, to, term: core.status().role.term, m: { t: "snapOffer", meta } });
    }
    this.at(from, (m) => m.step({ k: "snapStatus", to, index: meta.id.index, ok: arrives }));
  }

  private disk(id: NodeId, how: string): void {
    const member = this.member(id);
    if (how === "hold") member.diskHeld = true;
    else if (how === "write") this.say(member.write() ? "one write is done" : "nothing to write");
    else {
      member.diskHeld = false;
      while (member.write());
    }
    this.workAt(id);
  }

  private log(id: NodeId): void {
    const { view } = this.member(id).log;
    const entries = view.read(view.first(), view.last().index + 1, Infinity);
    const terms = entries === "compacted" ? [] : entries.map((e) => `${e.index}@${e.term}`);
    this.say(
      `${id} has on disk ${terms.length === 0 ? "nothing" : terms.join(" ")}${view.first() > 1 ? ` after ${view.first() - 1}` : ""}`,
    );
  }

  private status(id: NodeId): void {
    const { core } = this.member(id);
    if (core === null) {
      this.say(`${id} is down`);
      return;
    }
    const s = core.status();
    this.say(
      `${id} ${s.role.state} term ${s.role.term} commit ${s.hard.commit} applied ${s.applied} last ${s.last.index}@${s.last.term}`,
    );
    for (const [peer, p] of s.progress) if (peer !== id) this.say(`  ${peer}: ${progressText(p)}`);
  }
}

function progressText(p: Progress): string {
  const notes = [
    p.paused ? "paused" : "",
    p.learner ? "learner" : "",
    p.active ? "" : "silent",
    p.inflight > 0 ? `${p.inflight} in flight` : "",
  ];
  return [`${p.state} match ${p.match} next ${p.next}`, ...notes.filter((note) => note !== "")].join(", ");
}

function messageText({ from, to, term, m }: Envelope): string {
  const { t, ...rest } = m;
  const body = "entries" in rest ? { ...rest, entries: rest.entries.map((e) => `${e.index}@${e.term}`) } : rest;
  return `${from}>${to} term ${term} ${t} ${JSON.stringify(body).replaceAll('"', "")}`;
}

const ops: Record<string, Change["op"]> = { "+": "addVoter", "~": "addLearner", "-": "remove" };

/** "+4 -1 explicit" as a change: + adds a voter, ~ a learner, - removes. "leave" leaves a joint membership. */
function changeOf(words: readonly string[]): ConfigChange {
  const changes = words.filter((w) => ops[w[0]!] !== undefined).map((w) => ({ op: ops[w[0]!]!, id: Number(w.slice(1)) }));
  const transition = words.includes("explicit") ? "explicit" : words.includes("joint") ? "joint" : "auto";
  return { changes, transition, leave: words.includes("leave"), context: new Uint8Array(0) };
}
