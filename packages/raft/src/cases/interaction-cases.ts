import { expect } from "vitest";
import { memberIds } from "../core/confchange.ts";
import { type ConfigChange, type EntryId, type Index, Kind, type NodeId, type Progress, type Term } from "../types.ts";
import { changeOf, Environment, type Fact } from "./interaction.ts";
import { unlimited } from "./lone.ts";
import { type Runner, runner } from "./suite.ts";
import { membershipWritten } from "./unit-cases.ts";

interface WrittenProgress extends Pick<Progress, "state" | "match" | "next" | "paused" | "learner" | "inflight"> {
  readonly id: NodeId;
  readonly inactive: boolean;
  readonly pendingSnapshot: Index;
  readonly inflightFull: boolean;
}

interface Wanted {
  readonly nodes?: { id: NodeId; role: string; voter: boolean; term: Term; lead: NodeId }[];
  readonly log?: (EntryId & { type: string; data: string; raw?: string })[];
  readonly progress?: WrittenProgress[];
}

type WrittenFact = { node?: NodeId; became?: string; term?: Term; config?: object; unpromotable?: true; proposalDropped?: true };

interface ScriptStep {
  readonly cmd: string;
  readonly input?: string;
  readonly want?: Wanted;
  readonly facts?: WrittenFact[];
}

/** A command's words: plain numbers, and key=value or key=(v,v). */
interface Words {
  readonly name: string;
  readonly ids: NodeId[];
  readonly plain: string[];
  readonly options: Record<string, string>;
}

function wordsOf(cmd: string): Words {
  const [name, ...rest] = cmd.split(" ");
  const plain = rest.filter((w) => !w.includes("="));
  const options = Object.fromEntries(rest.filter((w) => w.includes("=")).map((w) => w.split("=") as [string, string]));
  return { name: name!, ids: plain.map(Number).filter((n) => !Number.isNaN(n)), plain, options };
}

function listOf(option: string | undefined): number[] {
  return option === undefined ? [] : option.replace(/[()]/g, "").split(",").map(Number);
}

class Script {
  private readonly env = new Environment();
  private quiet = false;

  run(step: ScriptStep): void {
    const words = wordsOf(step.cmd);
    const command = this.commands[words.name];
    if (command === undefined) throw new Error("no such command");
    this.env.facts = [];
    command(words, step);
    if (step.want !== undefined) this.check(step.want, words.ids[0] ?? 0);
    if (!this.quiet && words.options["log-level"] !== "none") this.checkFacts(step.facts ?? []);
  }

  private readonly commands: Record<string, (w: Words, step: ScriptStep) => void> = {
    "log-level": (w) => void (this.quiet = w.plain[0] === "none"),
    "add-nodes": (w) => this.addNodes(w),
    campaign: (w) => this.env.step(w.ids[0]!, { k: "campaign" }),
    stabilize: (w) => this.env.stabilize(w.ids.length > 0 ? w.ids : this.env.members.map((_, i) => i + 1)),
    propose: (w) => this.env.step(w.ids[0]!, { k: "propose", data: [new TextEncoder().encode(w.plain[1])] }),
    "propose-conf-change": (w, step) => {
      const transitions: Record<string, ConfigChange["transition"]> = { implicit: "joint", explicit: "explicit" };
      const change = changeOf(step.input ?? "", transitions[w.options["transition"] ?? "auto"] ?? "auto");
      // Upstream's followers forward the change to their leader; here the caller goes there.
      const { leader } = this.env.member(w.ids[0]!).lone.r;
      this.env.step(leader === 0 ? w.ids[0]! : leader, { k: "change", change });
    },
    "process-ready": (w) => w.ids.forEach((id) => this.env.processReady(id)),
    "process-append-thread": (w) => w.ids.forEach((id) => this.env.processAppend(id)),
    "process-apply-thread": (w) => w.ids.forEach((id) => this.env.processApply(id)),
    "deliver-msgs": (w) => {
      const type = w.options["type"] === "MsgApp" ? "app" : undefined;
      for (const id of w.ids) this.env.deliver(id, false, type);
      for (const id of listOf(w.options["drop"])) this.env.deliver(id, true, type);
    },
    "tick-heartbeat": (w) => this.tick(w.ids[0]!, 1),
    "tick-election": (w) => this.tick(w.ids[0]!, 3),
    "transfer-leadership": (w) => this.env.step(Number(w.options["from"]), { k: "transfer", to: Number(w.options["to"]) }),
    "forget-leader": (w) => this.env.step(w.ids[0]!, { k: "forgetLeader" }),
    "set-randomized-election-timeout": (w) => {
      this.env.member(w.ids[0]!).lone.r.electionTimeout = Number(w.options["timeout"]);
    },
    "report-unreachable": (w) => this.env.step(w.ids[0]!, { k: "unreachable", to: w.ids[1]! }),
    compact: (w) => void this.env.member(w.ids[0]!).lone.log.compact(w.ids[1]!),
    "send-snapshot": (w) => this.env.sendSnapshot(w.ids[0]!, w.ids[1]!),
    "raft-state": () => undefined,
    "raft-log": () => undefined,
    status: () => undefined,
  };

  private tick(id: NodeId, times: number): void {
    for (let i = 0; i < times; i++) this.env.step(id, { k: "tick" });
  }

  private addNodes(w: Words): void {
    const { options } = w;
    const index = Number(options["index"] ?? 0);
    const limits = { ...unlimited, maxInflightMsgs: Number(options["inflight"] ?? Infinity) };
    const on = (name: string) => options[name] === "true";
    for (let i = 0; i < w.ids[0]!; i++) {
      this.env.add(
        {
          voters: listOf(options["voters"]),
          learners: listOf(options["learners"]),
          base: { index, term: index === 0 ? 0 : 1 },
          options: { electionTicks: 3, preVote: on("prevote"), checkQuorum: on("checkquorum"), limits },
        },
        on("async-storage-writes"),
      );
    }
  }

  private check(want: Wanted, id: NodeId): void {
    if (want.nodes !== undefined) expect(this.nodes()).toEqual(want.nodes);
    if (want.progress !== undefined) expect(this.progress(id)).toEqual(want.progress);
    if (want.log !== undefined) this.checkLog(want.log, id);
  }

  private nodes(): unknown {
    return this.env.members.map(({ lone: { r } }) => {
      const m = r.membership();
      const voter = m.voters.includes(r.id) || m.outgoing.includes(r.id);
      return { id: r.id, role: r.state.toLowerCase(), voter, term: r.term, lead: r.leader };
    });
  }

  private progress(id: NodeId): WrittenProgress[] {
    return this.env.member(id).lone.r.tracker.peers.map((peer) => {
      const { active, ...view } = peer.view();
      const { pendingSnapshot, inflights } = peer;
      return { id: peer.id, ...view, inactive: !active, pendingSnapshot, inflightFull: inflights.count > 0 && inflights.full() };
    });
  }

  /** What the node's disk has, entry by entry; the data of membership changes is in our own encoding. */
  private checkLog(want: NonNullable<Wanted["log"]>, id: NodeId): void {
    const { view } = this.env.member(id).lone.log;
    const raw = want[0]?.raw;
    if (raw !== undefined) {
      expect(`log is empty: first index=${view.first()}, last index=${view.last().index}`).toBe(raw);
      return;
    }
    const entries = view.read(view.first(), view.last().index + 1, Infinity);
    const seen = entries === "compacted" ? [] : entries;
    expect(seen.map((e) => [e.term, e.index, e.kind === Kind.config])).toEqual(
      want.map((e) => [e.term, e.index, e.type !== "EntryNormal"]),
    );
    seen.forEach((e, i) => {
      if (e.kind !== Kind.config) expect(JSON.stringify(new TextDecoder().decode(e.data))).toBe(want[i]!.data);
    });
  }

  /** Node by node, in order. Upstream also logs a role that is taken again; only what changes counts here. */
  private checkFacts(written: readonly WrittenFact[]): void {
    const wanted = written.filter((fact) => fact.became === undefined || !this.isRepeat(fact)).map(normal);
    const seen = this.env.facts.map(normal);
    for (const id of [0, ...this.env.members.map((_, i) => i + 1)]) {
      const of = (facts: readonly string[]) => facts.filter((f) => f.startsWith(`${id} `));
      expect(of(seen)).toEqual(of(wanted));
    }
  }

  private isRepeat(fact: WrittenFact): boolean {
    const same = (f: Fact) => "became" in f && f.node === fact.node && f.became === fact.became && f.term === fact.term;
    const { r } = this.env.member(fact.node!).lone;
    return !this.env.facts.some(same) && r.state.toLowerCase() === fact.became && r.term === fact.term;
  }
}

function normal(fact: Fact | WrittenFact): string {
  if ("config" in fact && fact.config !== undefined) {
    const m = "outgoing" in fact.config ? fact.config : membershipWritten(fact.config);
    const next = [...m.learnersNext].sort((a, b) => a - b);
    return `${fact.node} config ${memberIds(m).join()} ${[m.voters, m.outgoing, m.learners, next].join("|")} ${m.autoLeave}`;
  }
  if ("became" in fact && fact.became !== undefined) return `${fact.node} became ${fact.became} ${fact.term}`;
  if ("unpromotable" in fact) return `${fact.node} unpromotable`;
  return "0 proposal dropped";
}

const interaction = runner<{ steps: ScriptStep[] }>((c) => {
  const script = new Script();
  c.steps.forEach((step, i) => {
    try {
      script.run(step);
    } catch (e) {
      throw new Error(`step ${i} "${step.cmd}": ${(e as Error).message}`, { cause: e });
    }
  });
});

export const interactionRunners: Record<string, Runner> = { "datadriven.interaction": interaction };
