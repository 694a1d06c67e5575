/**
 * A client: one operation at a time on a few settings, over and over until it is answered or the client loses patience.
 * A write keeps its request id through all tries, whichever member it is tried at.
 */
import type { Command } from "@aether/core/kernel/command";
import type { SettingRow } from "@aether/core/setting/state";
import type { Answer } from "@aether/store/types";
import { hold } from "../checks/violation.ts";
import { absent, type KeyCall, type KeyResult, type KeyState } from "../checks/key-model.ts";
import type { Operation } from "../checks/linearizability.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { SimNode } from "../cluster/node.ts";
import type { Stream } from "../world/stream.ts";

/** A try that is not answered within this is tried elsewhere. */
const tryMs = 700;
/** Then the outcome stays open and the client goes on with something else. */
const patienceMs = 6_000;
const barrierMs = 2_000;

/** Refusals after which the very try had no effect; another try may have. */
const tryAgain = new Set(["no_leader", "not_ready", "overloaded", "ambiguous"]);

interface Current {
  readonly key: string;
  readonly call: KeyCall;
  readonly request: string;
  readonly calledAt: number;
  /** Tried once, whatever comes of it. */
  readonly once: boolean;
  /** Tries of which nothing has been heard. */
  open: number;
  over: boolean;
}

export class Client {
  readonly name: string;
  readonly operations: RequestedOperation[] = [];
  readonly counts = { done: 0, refused: 0, denied: 0, open: 0, tries: 0, replayed: 0 };
  /** Takes no new operation any more. */
  resting = false;
  readonly #cluster: Cluster;
  readonly #draw: Stream;
  #current: Current | null = null;
  #sent = 0;
  #target: SimNode;
  /** What it saw last of each key. */
  readonly #seen = new Map<string, KeyState>();

  constructor(cluster: Cluster, number: number) {
    this.#cluster = cluster;
    this.name = `c${number}`;
    this.#draw = cluster.stream(`load/${this.name}`);
    this.#target = cluster.nodes[0] as SimNode;
  }

  get busy(): boolean {
    return this.#current !== null;
  }

  start(): void {
    const { world, plan } = this.#cluster;
    world.after(this.#draw.around(plan.thinkMs), null, "think", () => {
      if (!this.resting) this.#begin();
      else this.start();
    });
  }

  #begin(): void {
    const { world, plan } = this.#cluster;
    const key = `k${this.#draw.below(plan.keys)}`;
    this.#sent += 1;
    const call = this.#choose(key);
    const once = this.#draw.chance(plan.onceShare) && call.op !== "read";
    const current = { key, call, request: `r${this.#sent}`, calledAt: world.now, once, open: 0, over: false };
    this.#current = current;
    world.after(patienceMs, null, "patience", () => this.#end(current, { told: "unknown" }));
    this.#try(current);
  }

  #choose(key: string): KeyCall {
    const value = Number(this.name.slice(1)) * 1_000_000 + this.#sent;
    const kind = this.#draw.next();
    if (kind < 0.4) return { op: "read" };
    if (kind < 0.47) return { op: "remove" };
    if (kind < 0.65) return { op: "swap", value, ifVersion: this.#seen.get(key)?.version ?? 0 };
    return { op: "write", value };
  }

  #try(current: Current): void {
    if (current.over) return;
    const { world, nodes } = this.#cluster;
    if (this.#draw.chance(0.3)) this.#target = this.#draw.pick(nodes);
    this.counts.tries += 1;
    let answered = false;
    const settle = (result: KeyResult | null): void => {
      if (answered || current.over) return;
      answered = true;
      if (result !== null || current.once) this.#end(current, result ?? { told: "unknown" });
      else world.after(this.#draw.around(50), null, "again", () => this.#try(current));
    };
    world.after(tryMs, null, "no answer", () => {
      if (!answered) this.#target = this.#draw.pick(nodes);
      settle(null);
    });
    if (current.call.op === "read") this.#read(current, settle);
    else this.#submit(current, settle);
  }

  #read(current: Current, settle: (r: KeyResult | null) => void): void {
    const { plan, history } = this.#cluster;
    const stale = plan.defect === "staleReads";
    this.#cluster.reach(this.#target, ({ store, member }, back) => {
      const before = history.top;
      const barrier = stale ? Promise.resolve(0) : store.barrier(barrierMs);
      barrier.then(
        () => {
          const late = (): string => `member ${member} reads at ${store.applied}, ${before} was committed when it was asked`;
          this.#cluster.observe(() => hold(stale || store.applied >= before, "a read sees what was committed before it", late));
          const stored = store.world.get<SettingRow>("setting", current.key);
          const state = stored === undefined ? absent : { version: stored.version, value: stored.row.value as number };
          back(() => settle({ told: "saw", state }));
        },
        () => back(() => settle(null)),
      );
    });
  }

  #submit(current: Current, settle: (r: KeyResult | null) => void): void {
    const { plan } = this.#cluster;
    const id = plan.defect === "forgetfulClients" ? `${current.request}.${this.counts.tries}` : current.request;
    const submission = {
      command: commandOf(current),
      actor: { name: this.name, role: "operator" } as const,
      request: { client: this.name, id },
    };
    current.open += 1;
    const told = (answer: Answer): void => {
      current.open -= 1;
      if (!answer.ok && answer.rejection.reason === "ambiguous") return settle(null);
      this.#follow(answer);
      settle(this.#judge(current, answer));
    };
    // Every other client goes to the leader itself; the others have their member hand on what they ask.
    this.#cluster.call(this.#target, submission, told, Number(this.name.slice(1)) % 2 === 0);
  }

  /** Null: that try had no effect, and another may be made. */
  #judge(current: Current, answer: Answer): KeyResult | null {
    if (answer.ok) {
      if (answer.replayed) this.counts.replayed += 1;
      const where = this.#cluster.history.effects.get(`${this.name}/${current.request}`);
      const forgets = this.#cluster.plan.defect === "forgetfulClients";
      const right = forgets || (answer.changed && where === answer.index);
      const rule = "what is answered has taken effect";
      hold(right, rule, () => `${this.name}/${current.request}: told entry ${answer.index}, took effect at ${where ?? "none"}`);
      return { told: "done", version: answer.version };
    }
    const { reason, message } = answer.rejection;
    // A refusal is of this try; another that is still under way may yet be decided otherwise.
    if ((reason === "stale" || reason === "not_found") && current.open > 0) return { told: "unknown" };
    if (reason === "stale") return { told: "stale" };
    if (reason === "not_found") return { told: "missing" };
    hold(tryAgain.has(reason), "no unasked refusal", () => `${current.call.op} is refused as ${reason}: ${message}`);
    if (current.once) this.#deny(current, reason);
    return null;
  }

  /** Any of these refusals says that the try had no effect, and there is no other try. */
  #deny(current: Current, reason: string): void {
    const { history } = this.#cluster;
    const request = `${this.name}/${current.request}`;
    const effect = history.effects.get(request);
    hold(effect === undefined, "what is refused has no effect", () => `${request}, ${reason}, took effect at ${effect}`);
    history.denied.set(request, reason);
    this.counts.denied += 1;
  }

  #follow(answer: Answer): void {
    if (answer.ok) return;
    const { nodes } = this.#cluster;
    this.#target = nodes.find(({ member }) => member !== null && member === answer.leader) ?? this.#draw.pick(nodes);
  }

  #end(current: Current, result: KeyResult): void {
    if (current.over) return;
    const { world, history } = this.#cluster;
    const { key, call, calledAt } = current;
    current.over = true;
    this.#current = null;
    if (result.told === "unknown") this.counts.open += 1;
    else if (result.told === "stale" || result.told === "missing") {
      this.counts.refused += 1;
      const effect = history.effects.get(`${this.name}/${current.request}`);
      hold(
        effect === undefined,
        "what is refused has no effect",
        () => `${this.name}/${current.request} took effect at ${effect}`,
      );
    } else this.counts.done += 1;
    if (result.told === "saw") this.#seen.set(key, result.state);
    else if (result.told === "done") this.#seen.set(key, { version: result.version, value: 0 });
    world.mix(this.name, key, JSON.stringify(result));
    const answeredAt = result.told === "unknown" ? Infinity : world.now;
    const request = `${this.name}/${current.request}`;
    // A read that saw nothing says nothing.
    if (call.op !== "read" || result.told !== "unknown")
      this.operations.push({ key, call, result, calledAt, answeredAt, request });
    this.start();
  }
}

/** An operation as its client keeps it: `request` is "client/id". */
export type RequestedOperation = Operation & { readonly request: string };

function commandOf({ key, call }: Current): Command {
  if (call.op === "remove") return { type: "RemoveSetting", id: key };
  const value = call.op === "read" ? 0 : call.value;
  const plain = { type: "SetSetting", id: key, value };
  return call.op === "swap" ? { ...plain, ifVersion: call.ifVersion } : plain;
}
