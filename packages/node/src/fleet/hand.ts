/**
 * The leader's hand: does what the rule of the fleet says, a few calls at once, and writes what came of it. An intent is in the log before
 * the call, so what a deposed leader had begun its successor finds there and does again: every call is idempotent by what the log names.
 */
import { fleetOf } from "@aether/core/fleet/state";
import { planFleet, type Call, type FleetSettings, type Sight } from "@aether/core/fleet/plan";
import type { InstanceRow } from "@aether/core/instance/state";
import type { Command } from "@aether/core/kernel/command";
import type { InstanceSpec } from "@aether/cloud/provider";
import type { Answer, EventStore } from "@aether/store/types";
import { BackOff } from "../backup/schedule.ts";
import type { Log } from "../daemon/log.ts";
import type { Outcome, TroubleText } from "./calls.ts";

/** A duty of the hand beside the machines of single nodes, made one at a time. */
export interface Chore {
  readonly name: string;
  /** What is due now, or null. What it resolves with is issued like the receipts of calls. */
  readonly due: () => ((signal: AbortSignal) => Promise<Outcome>) | null;
}

export interface HandParts {
  readonly cluster: { readonly name: string };
  readonly store: Pick<EventStore, "world" | "role">;
  readonly settings: FleetSettings;
  readonly specOf: (who: {
    readonly node: string;
    readonly attempt: number;
    readonly zone: string;
    readonly size: string;
  }) => InstanceSpec;
  readonly digestOf: (spec: InstanceSpec) => string;
  readonly call: (call: Call, signal: AbortSignal) => Promise<Outcome>;
  readonly chores: readonly Chore[];
  readonly submit: (command: Command) => Promise<Answer>;
  /** Whether this member surely leads, and its rows show all that had been acknowledged before the call. */
  readonly caughtUp: () => Promise<boolean>;
  readonly log: Log;
  /** Unix milliseconds, of the clock that the log's times come from. */
  readonly now: () => number;
}

interface Running {
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

/** Calls to the vendor at once. */
export const atOnce = 4;
const againMs = [2_000, 120_000] as const;
const troubledMs = [60_000, 600_000] as const;

export class FleetHand {
  readonly #p: HandParts;
  #term: number | null = null;
  #leadingSince = 0;
  /** What was seen of machines, by node. Of one leadership. */
  #seen = new Map<string, Sight>();
  #waits = new Map<string, { readonly least: number; readonly backOff: BackOff }>();
  /** Who has told of a trouble that still is. */
  #troubled = new Set<string>();
  /** By node, or by the name of a chore. */
  readonly #running = new Map<string, Running>();
  #stopped = false;

  constructor(parts: HandParts) {
    this.#p = parts;
  }

  /** One look: says what is due, begins the calls that are due, and does not wait for them. Never rejects because of the vendor. */
  async look(): Promise<void> {
    const { store, settings, now } = this.#p;
    const { state, term } = store.role;
    if (this.#stopped || state !== "leader") return this.#forget();
    if (term !== this.#term) {
      this.#forget();
      if (!(await this.#p.caughtUp()) || store.role.term !== term) return;
      [this.#term, this.#leadingSince] = [term, now()];
    }
    for (const act of planFleet({ world: store.world, seen: this.#seen, leadingSince: this.#leadingSince }, settings, now())) {
      if (!this.#leads(term)) return this.#forget();
      if (act.do === "say") await this.#say(act.command);
      else this.#begin(act.node, term, (signal) => this.#callNow(act, signal));
    }
    for (const { name, due } of this.#p.chores) {
      const work = this.#leads(term) && this.#isFree(name) ? due() : null;
      if (work !== null) this.#begin(name, term, work);
    }
  }

  /** Nodes and chores that calls are under way for. */
  get calling(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Resolves when no call is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** What is under way is broken off; whoever leads next goes on with it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forget();
    await this.idle();
  }

  #forget(): void {
    this.#term = null;
    this.#seen = new Map();
    this.#waits = new Map();
    this.#troubled = new Set();
    for (const { abort } of this.#running.values()) abort.abort();
  }

  #leads(term: number): boolean {
    const { role } = this.#p.store;
    return !this.#stopped && this.#term === term && role.state === "leader" && role.term === term;
  }

  #isFree(key: string): boolean {
    return !this.#running.has(key) && this.#running.size < atOnce && (this.#waits.get(key)?.backOff.over(this.#p.now()) ?? true);
  }

  /** Nothing is said of a node while a call about it is under way: its end may be another. */
  async #say(input: Command): Promise<void> {
    if (this.#running.has(input.id)) return;
    const command = input.type === "WantInstance" ? this.#withSpec(input) : input;
    await this.#submit(command);
  }

  #withSpec(command: Command): Command {
    const { id: node, attempt, zone, size } = command as unknown as Record<"id" | "zone" | "size", string> & { attempt: number };
    return { ...command, spec: this.#p.digestOf(this.#p.specOf({ node, attempt, zone, size })) };
  }

  async #submit(command: Command): Promise<void> {
    const { log, submit } = this.#p;
    const answer = await submit(command);
    const { type, id, ...fields } = command;
    if (!answer.ok) {
      const { reason, message } = answer.rejection;
      log.warn("fleet-refused", { command: type, id, reason, message });
    } else if (answer.changed) log.info("fleet", { command: type, id, facts: JSON.stringify(fields), index: answer.index });
  }

  #begin(key: string, term: number, work: (signal: AbortSignal) => Promise<Outcome>): void {
    if (!this.#isFree(key)) return;
    const abort = new AbortController();
    const done = this.#run(key, term, work, abort.signal).finally(() => this.#running.delete(key));
    this.#running.set(key, { done, abort });
  }

  /** A call is made only by who leads now, and its receipt written only by who still does. */
  async #run(key: string, term: number, work: (signal: AbortSignal) => Promise<Outcome>, signal: AbortSignal): Promise<void> {
    try {
      if (!(await this.#p.caughtUp()) || !this.#leads(term)) return;
      const outcome = await work(signal);
      if (!this.#leads(term)) return;
      await this.#record(key, outcome);
    } catch (error) {
      if (signal.aborted) return;
      this.#p.log.error("fleet-failed", { what: key, message: error instanceof Error ? error.message : String(error) });
      this.#wait(key, againMs);
    }
  }

  /** Not made when the rows are others by now than those it was planned on. */
  #callNow(call: Call, signal: AbortSignal): Promise<Outcome> {
    const row = this.#p.store.world.get<InstanceRow>("instance", call.node)?.row;
    const fits = row?.attempt === call.attempt && statesOf[call.call].includes(row.state);
    if (!fits) return Promise.resolve({ receipts: [], sight: null, again: false, trouble: null });
    return this.#p.call(call, signal);
  }

  async #record(key: string, { receipts, sight, again, trouble }: Outcome): Promise<void> {
    if (sight !== null) this.#note(key, sight);
    if (trouble !== null) await this.#tell(key, trouble);
    if (again) this.#wait(key, trouble === null ? againMs : troubledMs);
    else {
      this.#waits.delete(key);
      this.#troubled.delete(key);
      await this.#mend();
    }
    for (const receipt of receipts) await this.#submit(receipt);
  }

  #note(node: string, { instance, state, address }: Pick<Sight, "instance" | "state" | "address">): void {
    const at = this.#p.now();
    const before = this.#seen.get(node);
    const since = before?.instance === instance ? before.absentSince : null;
    this.#seen.set(node, { instance, state, address, at, absentSince: state === "absent" ? (since ?? at) : null });
  }

  #wait(key: string, [least, most]: readonly [number, number]): void {
    const before = this.#waits.get(key);
    const backOff = before?.least === least ? before.backOff : new BackOff(least, most);
    backOff.failed(this.#p.now());
    this.#waits.set(key, { least, backOff });
  }

  async #tell(key: string, trouble: TroubleText): Promise<void> {
    this.#troubled.add(key);
    const { cluster, log } = this.#p;
    log.warn("fleet-trouble", { ...trouble });
    await this.#submit({ type: "RecordTrouble", id: cluster.name, ...trouble });
  }

  /** Something worked. What an earlier leader told of is told again if it still is. */
  async #mend(): Promise<void> {
    const { store, cluster } = this.#p;
    if (this.#troubled.size > 0) return;
    for (const { area } of fleetOf(store.world).troubles) await this.#submit({ type: "MendTrouble", id: cluster.name, area });
  }
}

/** In which states of the row a call is made. */
const statesOf: Readonly<Record<Call["call"], readonly InstanceRow["state"][]>> = {
  ensure: ["wanted"],
  look: ["accepted", "running", "enrolled"],
  enrol: ["running"],
  stop: ["stopping"],
  delete: ["removing"],
};
