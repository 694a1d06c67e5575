/** The clusters of a run: started when a part first needs them, shared by parts that may share, and always ended. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAether, type NodeArguments } from "./aether-cluster.ts";
import { etcdMissing, startEtcd } from "./etcd/etcd-cluster.ts";
import type { BenchCluster } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { fill } from "./fill.ts";
import { residentMiB } from "./process-costs.ts";
import { roomyBuild } from "./roomy-build.ts";

export interface NamedCluster {
  readonly name: string;
  readonly cluster: BenchCluster;
}

export interface SceneSide extends NamedCluster {
  /** MiB per member when its scene had just been filled. */
  readonly residentAfterFill: readonly number[];
  /** The same {@link settleSeconds} later, of the deep scene; before the other side is filled, which takes minutes. */
  readonly residentSettled: readonly number[];
}

/**
 * `small`: every build and etcd, 10,000 rows. `deep`: one build and etcd, the wanted events over the wanted rows behind them.
 * `wide`: one build by itself, empty at first; growth and snapshot fill it. The last two take more settings than is usual.
 */
export type Scene = "small" | "deep" | "wide";

export const say = (text: string): void => console.error(text);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** After the load of the deep scene: of both sides, and nothing is asked of them meanwhile. */
export const settleSeconds = ({ quick }: BenchOptions): number => (quick ? 1 : 15);

/** Keys of the small scene; every one is there before anything is measured. */
export const smallKeys = 10_000;

export class Stage {
  readonly options: BenchOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "aether-bench-"));
  readonly #scenes = new Map<Scene, readonly SceneSide[]>();
  readonly #running = new Set<BenchCluster>();
  readonly #withEtcd: boolean;
  /** Rows that the wide scene holds by now: bench/k0 and on. */
  rowsOfWide = 0;

  constructor(options: BenchOptions) {
    this.options = options;
    const missing = options.etcd ? etcdMissing() : [];
    if (missing.length > 0) say(withoutEtcd(missing));
    this.#withEtcd = options.etcd && missing.length === 0;
    for (const { program } of options.builds)
      if (!existsSync(program)) throw new Error(`there is no ${program}: npm run build makes the default one`);
  }

  /** The scene's clusters, ours first. Filled and warm. */
  async clusters(scene: Scene): Promise<readonly SceneSide[]> {
    const there = this.#scenes.get(scene);
    if (there !== undefined) return there;
    const made: NamedCluster[] = [];
    const builds = scene === "small" ? this.options.builds : this.options.builds.slice(0, 1);
    for (const { name, program } of builds)
      made.push({ name, cluster: await this.aether(scene === "small" ? program : roomyBuild(program)) });
    if (scene !== "wide" && this.#withEtcd) made.push({ name: "etcd", cluster: await this.#etcd() });
    const sides: SceneSide[] = [];
    for (const side of made) {
      if (scene === "small") await fill(side, { events: smallKeys, keys: smallKeys });
      if (scene === "deep") await fill(side, { events: this.options.events, keys: this.options.rows });
      const residentAfterFill = side.cluster.pids.map(residentMiB);
      if (scene === "deep") await pause(1_000 * settleSeconds(this.options));
      sides.push({ ...side, residentAfterFill, residentSettled: side.cluster.pids.map(residentMiB) });
    }
    this.#scenes.set(scene, sides);
    return sides;
  }

  /** A cluster of our own for one part; end() it. Default: of the first build. */
  async aether(program = this.options.builds[0]?.program ?? "", nodeArguments?: NodeArguments): Promise<BenchCluster> {
    say(`starting three members of ${program}`);
    return this.#watch(await startAether(program, nodeArguments));
  }

  async #etcd(): Promise<BenchCluster> {
    say("building etcd's load program and starting three members of etcd");
    mkdirSync(this.#folder, { recursive: true });
    return this.#watch(await startEtcd(mkdtempSync(join(this.#folder, "etcd-"))));
  }

  #watch(cluster: BenchCluster): BenchCluster {
    this.#running.add(cluster);
    return cluster;
  }

  async end(cluster: BenchCluster): Promise<void> {
    this.#running.delete(cluster);
    await cluster.stop();
  }

  /** Ends the scenes that are not needed any more. */
  async keepOnly(needed: ReadonlySet<Scene>): Promise<void> {
    for (const [scene, clusters] of this.#scenes) {
      if (needed.has(scene)) continue;
      this.#scenes.delete(scene);
      for (const { cluster } of clusters) await this.end(cluster);
    }
  }

  /** Ends every cluster and removes what they wrote. The stage can be used again. */
  async dispose(): Promise<void> {
    this.#scenes.clear();
    this.rowsOfWide = 0;
    await Promise.allSettled([...this.#running].map((cluster) => this.end(cluster)));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const withoutEtcd = (missing: readonly string[]): string =>
  [
    "",
    "!! etcd is not measured: Debian packages are missing. Install them with",
    `!!   apt-get install ${missing.join(" ")}`,
    "!! Aether is measured alone, and there will be no ratios.",
    "",
  ].join("\n");
