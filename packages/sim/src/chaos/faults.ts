/** Makes a schedule happen to a cluster. */
import { memberFacts } from "@aether/node/testing/cluster-facts";
import type { TestNode } from "@aether/node/testing/cluster-harness";
import { makeStream, type Stream } from "../world/stream.ts";
import type { Daemons } from "./chaos-cluster.ts";
import type { Disaster } from "./disaster.ts";
import type { LinkProxy } from "./link-proxy.ts";
import type { Happening, Who } from "./schedule.ts";

type Of<K extends Happening["kind"]> = Extract<Happening, { readonly kind: K }>;

/** A healed cluster must be whole again within this. */
const wholeMs = 90_000;
const askMs = 500;

export class Faults {
  /** What really happened, by kind; `missed` found nobody to happen to. */
  readonly counts = new Map<string, number>();
  /** What disasters found wrong. */
  readonly incidents: string[] = [];
  readonly #cluster: Daemons;
  readonly #schedule: readonly Happening[];
  readonly #disasters: ReadonlyMap<string, Disaster>;
  readonly #seed: number;
  readonly #under = new Set<Promise<void>>();
  /** Nothing else happens until it is over. */
  #alone = false;
  /** A disaster is under way. */
  #struck = false;
  #over = false;
  /** Of the links' state in force: only its own end ends it. */
  #linkState = 0;

  constructor(cluster: Daemons, schedule: readonly Happening[], disasters: readonly Disaster[], seed: number) {
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#disasters = new Map(disasters.map((disaster) => [disaster.name, disaster]));
    this.#seed = seed;
  }

  /** Resolves when `forMs` have passed and every disaster has ended; the cluster is then whole but for what nobody has restarted. */
  async run(forMs: number): Promise<void> {
    const began = performance.now();
    for (const happening of this.#schedule) {
      await this.#cluster.pause(began + happening.atMs - performance.now());
      if (!this.#alone) this.#start(happening);
    }
    await this.#cluster.pause(began + forMs - performance.now());
    this.#over = true;
    this.#cluster.wake();
    await Promise.all(this.#under);
    this.#cluster.heal();
  }

  #start(happening: Happening): void {
    const work = this.#happen(happening)
      .catch((error: unknown) => {
        this.incidents.push(`${happening.kind}: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => this.#under.delete(work));
    this.#under.add(work);
  }

  #happen(h: Happening): Promise<void> {
    switch (h.kind) {
      case "kill":
        return this.#kill(h);
      case "power":
        return this.#power(h);
      case "pause":
        return this.#pause(h);
      case "partition":
        return this.#partition(h);
      case "delay":
        return this.#delay(h);
      case "cut":
      case "half-close":
        return this.#links(h);
      case "disaster":
        return this.#disaster(h);
    }
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  async #kill({ who, downMs }: Of<"kill">): Promise<void> {
    const node = await this.#find(who);
    if (node?.process == null || this.#alone || !this.#cluster.free.includes(node)) return this.#count("missed");
    this.#count("kill");
    await this.#cluster.kill(node);
    await this.#cluster.pause(downMs);
    this.#restart(node);
  }

  async #power({ downMs }: Of<"power">): Promise<void> {
    this.#count("power");
    const nodes = this.#cluster.free.filter((node) => node.process !== null);
    await Promise.all(nodes.map((node) => this.#cluster.kill(node)));
    await this.#cluster.pause(downMs);
    for (const node of nodes) this.#restart(node);
  }

  #restart(node: TestNode): void {
    if (node.process === null && this.#cluster.free.includes(node)) this.#cluster.start(node);
  }

  async #pause({ who, forMs }: Of<"pause">): Promise<void> {
    const node = await this.#find(who);
    const stoppable = node?.process != null && !this.#alone && !this.#cluster.isPaused(node) && this.#cluster.free.includes(node);
    if (!stoppable) return this.#count("missed");
    this.#count("pause");
    this.#cluster.stop(node);
    await this.#cluster.pause(forMs);
    this.#cluster.resume(node);
  }

  async #partition({ shape, who, sides, oneWay, how, forMs }: Of<"partition">): Promise<void> {
    const { nodes, net } = this.#cluster;
    const one = await this.#find(who);
    const side = (node: TestNode, place: number): boolean => (shape === "one" ? node === one : sides[place] === true);
    const apart = nodes.flatMap((from, a) =>
      nodes.flatMap((to, b) => (side(from, a) && !side(to, b) ? [[from, to] as const] : [])),
    );
    const cut = apart.filter(([from, to]) => shape !== "bridge" || (from !== one && to !== one));
    if (cut.length === 0 || this.#alone) return this.#count("missed");
    this.#count(`partition, ${how}`);
    await this.#linksFor(
      forMs,
      `${shape} ${how}${oneWay ? " one way" : ""}: ${cut.map(([a, b]) => `${a.name}|${b.name}`).join(" ")}`,
      () => {
        for (const [from, to] of cut) {
          net.silence(from.name, to.name, how);
          if (!oneWay) net.silence(to.name, from.name, how);
        }
      },
    );
  }

  async #delay({ share, leastMs, jitterMs, forMs, pick }: Of<"delay">): Promise<void> {
    this.#count("delay");
    const links = this.#some(share, pick);
    await this.#linksFor(forMs, `${links.length} links delay ${leastMs.toFixed(0)}+${jitterMs.toFixed(0)} ms`, () => {
      for (const link of links) link.set({ m: "delay", leastMs, jitterMs });
    });
  }

  async #links(h: Of<"cut"> | Of<"half-close">): Promise<void> {
    this.#count(h.kind);
    const links = this.#some(h.share, h.pick);
    this.#cluster.tell(
      "links",
      `${links.length} ${h.kind === "cut" ? `cut after ${h.afterBytes} bytes` : `half-close ${h.way}`}`,
    );
    for (const link of links) {
      if (h.kind === "cut") link.cutAfter(h.afterBytes);
      else link.halfClose(h.way);
    }
    return Promise.resolve();
  }

  /** One state of the links at a time: the next one replaces it. */
  async #linksFor(forMs: number, what: string, set: () => void): Promise<void> {
    this.#linkState += 1;
    const mine = this.#linkState;
    this.#cluster.net.heal();
    this.#cluster.tell("links", what);
    set();
    await this.#cluster.pause(forMs);
    if (this.#linkState !== mine) return;
    this.#cluster.net.heal();
    this.#cluster.tell("links", "healed");
  }

  async #disaster({ name, forMs, atMs }: Of<"disaster">): Promise<void> {
    const disaster = this.#disasters.get(name);
    // The last one may still be ending.
    if (disaster === undefined || this.#over || this.#struck) return this.#count("missed");
    this.#struck = true;
    try {
      if (disaster.alone === true) await this.#calm();
      if (this.#over) return this.#count("missed");
      await this.#strike(disaster, forMs, makeStream(this.#seed, `chaos/${name}/${atMs}`));
    } finally {
      this.#struck = false;
      this.#alone = false;
    }
  }

  async #strike(disaster: Disaster, forMs: number, stream: Stream): Promise<void> {
    this.#cluster.tell(disaster.name, "begins");
    this.#count(disaster.name);
    try {
      await disaster.begin(this.#cluster, stream);
      await this.#cluster.pause(forMs);
    } finally {
      await disaster.end(this.#cluster);
      this.#cluster.tell(disaster.name, "ended");
    }
  }

  /** Everybody is well, and stays so. */
  async #calm(): Promise<void> {
    this.#alone = true;
    this.#linkState += 1;
    this.#cluster.heal();
    for (const node of this.#cluster.free) await this.#cluster.takesPart(node, wholeMs);
  }

  async #find(who: Who): Promise<TestNode | undefined> {
    const { nodes, operator } = this.#cluster;
    if (who !== "leader") return nodes[who];
    const asked = this.#cluster.free.filter((node) => node.process !== null && !this.#cluster.isPaused(node));
    const facts = asked.map(async (node) =>
      (await memberFacts(operator, node)).role === "leader" ? node : Promise.reject(new Error("follows")),
    );
    const late = this.#cluster.pause(askMs).then(() => undefined);
    return Promise.race([Promise.any(facts).catch(() => undefined), late]);
  }

  #some(share: number, pick: number): readonly LinkProxy[] {
    const stream = makeStream(pick, "links");
    return this.#cluster.net.all.filter(() => stream.chance(share));
  }
}
