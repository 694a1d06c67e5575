/**
 * Somebody who keeps backups and restores them, with the product's own runner over the simulated network: the state of a moment, read
 * where a quorum confirms it, and brought back some time later, as a whole or in part, while others write.
 */
import { chosenBy, type Chosen } from "@aether/core/backup/plan";
import { parseThing } from "@aether/core/backup/thing-files";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import { RestoreRunner, type Restored, type Submitted } from "@aether/node/backup/restore-runner";
import type { Answer } from "@aether/store/types";
import { wantedFiles } from "../checks/restores.ts";
import { hold } from "../checks/violation.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { SimNode } from "../cluster/node.ts";
import type { Stream } from "../world/stream.ts";
import type { Backup, Backups } from "./backups.ts";

const tryMs = 700;
const barrierMs = 2_000;
const backupsMax = 4;
/** Small, so that a restore comes in several parts. */
const partBytes = 400;

/** Refusals that a restore may get for good: somebody was quicker, or the rules do not allow it. */
const denials = new Set(["stale", "conflict", "quorum_at_risk", "not_found"]);
const openReasons = new Set(["no_leader", "not_ready", "overloaded", "deadline"]);

/** When a restore was asked for and answered, in virtual milliseconds: Infinity while nothing was heard. */
export interface RestoreCall {
  readonly id: string;
  readonly calledAt: number;
  readonly answeredAt: number;
}

export class Restorer {
  readonly name: string;
  readonly calls: RestoreCall[] = [];
  readonly counts = { backups: 0, restored: 0, denied: 0, open: 0, empty: 0 };
  resting = false;
  busy = false;
  readonly #cluster: Cluster;
  readonly #draw: Stream;
  readonly #runner: RestoreRunner;
  readonly #backups: Backup[] = [];
  #target: SimNode;
  #restores = 0;
  readonly #written: Backups;

  /** `written`: the backups that members write. */
  constructor(cluster: Cluster, number: number, written: Backups) {
    this.#written = written;
    this.#cluster = cluster;
    this.name = `r${number}`;
    this.#draw = cluster.stream(`load/${this.name}`);
    this.#target = cluster.nodes[0] as SimNode;
    const later = (ms: number): Promise<void> => this.#later(ms);
    const drawId = (): string => this.#id();
    this.#runner = new RestoreRunner({ registry, rest: () => later(1), pause: (ms) => later(ms / 4), drawId, partBytes });
  }

  start(): void {
    const { world, plan } = this.#cluster;
    world.after(this.#draw.around(plan.restoreEveryMs), null, "restorer", () => {
      if (this.resting) return this.start();
      this.busy = true;
      this.#act()
        .catch((error: unknown) => this.#cluster.failed(error))
        .finally(() => {
          this.busy = false;
          this.start();
        });
    });
  }

  #later(ms: number): Promise<void> {
    return new Promise((resolve) => this.#cluster.world.after(ms, null, "later", resolve));
  }

  #id(): string {
    return `${this.name}-${this.#restores}`;
  }

  async #act(): Promise<void> {
    this.#target = this.#draw.pick(this.#cluster.nodes);
    if (this.#backups.length === 0 || this.#draw.chance(0.4)) return this.#backUp();
    const own = this.#draw.pick(this.#backups);
    const written = this.#cluster.plan.backupsPerS > 0 && this.#draw.chance(0.6) ? await this.#written.pick(this.#draw) : null;
    await this.#restore(written ?? own);
  }

  /** What a member has that was confirmed to be up to date; null when nothing was heard. */
  #read<T>(read: (running: NonNullable<SimNode["running"]>) => T): Promise<T | null> {
    return new Promise((resolve) => {
      this.#cluster.world.after(tryMs, null, "no answer", () => resolve(null));
      this.#cluster.reach(this.#target, (running, back) => {
        running.store.barrier(barrierMs).then(
          () => {
            const found = read(running);
            back(() => resolve(found));
          },
          () => back(() => resolve(null)),
        );
      });
    });
  }

  async #backUp(): Promise<void> {
    const backup = await this.#read(({ store }) => ({ index: store.applied, files: wantedFiles(store.world) }));
    if (backup === null) return;
    this.counts.backups += 1;
    this.#backups.push(backup);
    if (this.#backups.length > backupsMax) this.#backups.shift();
  }

  async #restore({ index, files }: Backup): Promise<void> {
    const { world, history } = this.#cluster;
    const chosen = this.#choose();
    const things = [...files].map(([path, text]) => parseThing(registry, path, text));
    const store = await this.#read((running) => running.store);
    if (store === null) return;
    const from = store.applied;
    const plan = await this.#runner.plan(store.world, things, chosen);
    this.#restores += 1;
    const id = this.#id();
    const nameOf = (thing: { readonly noun: string; readonly id: string }): string => `${thing.noun}/${thing.id}`;
    const changes = new Map(plan.things.map((thing) => [nameOf(thing), thing.index]));
    history.restores.starts(id, { goal: files, chosen, from, changes, keeps: new Set(plan.kept.map(nameOf)) });
    const calledAt = world.now;
    const source = { commit: null, index, at: 0 };
    const result = await this.#runner.run(plan, source, (command, request) => this.#submit(command, request));
    this.#judge(id, calledAt, result);
  }

  #choose(): Chosen {
    const keys = this.#cluster.plan.keys;
    if (this.#draw.chance(0.6)) return chosenBy(registry, []);
    return chosenBy(registry, this.#draw.chance(0.5) ? ["setting"] : [`setting/k${this.#draw.below(keys)}`]);
  }

  #judge(id: string, calledAt: number, result: Restored | Rejection): void {
    const { world, history } = this.#cluster;
    world.mix(this.name, JSON.stringify(result));
    if ("rejected" in result) {
      const { reason, message } = result;
      const isOpen = reason === "ambiguous";
      const known = isOpen || denials.has(reason) || openReasons.has(reason);
      this.#cluster.observe(() => {
        hold(known, "no unasked refusal", () => `restore ${id} is refused as ${reason}: ${message}`);
        if (!isOpen) history.restores.refused(id, reason);
      });
      if (isOpen) this.calls.push({ id, calledAt, answeredAt: Infinity });
      this.counts[isOpen ? "open" : "denied"] += 1;
      return;
    }
    if (result.restore === "") {
      this.counts.empty += 1;
      return;
    }
    const where = history.restores.applied.get(id)?.index;
    const wrong = (): string => `restore ${id} is told to be entry ${result.index}, and took effect at ${where ?? "none"}`;
    this.#cluster.observe(() => hold(where === result.index, "what is answered has taken effect", wrong));
    this.calls.push({ id, calledAt, answeredAt: world.now });
    this.counts.restored += 1;
    world.tell(this.name, `has restored entry ${id} at ${result.index}`);
  }

  #submit(input: Command, request: string): Promise<Submitted | Rejection> {
    const { world, nodes } = this.#cluster;
    const command = registry.command(input.type)?.parse(input);
    if (command === undefined || "rejected" in command)
      throw new Error(`${input.type} does not parse: ${JSON.stringify(command)}`);
    const submission = {
      command,
      actor: { name: this.name, role: "operator" },
      request: { client: this.name, id: request },
    } as const;
    return new Promise((resolve) => {
      world.after(tryMs, null, "no answer", () => {
        this.#target = this.#draw.pick(nodes);
        resolve(reject("ambiguous", "no answer in time"));
      });
      const told = (answer: Answer): void => {
        if (!answer.ok && answer.leader !== 0)
          this.#target = nodes.find(({ member }) => member === answer.leader) ?? this.#draw.pick(nodes);
        resolve(answer.ok ? answer : answer.rejection);
      };
      this.#cluster.call(this.#target, submission, told, this.#draw.chance(0.5));
    });
  }
}
