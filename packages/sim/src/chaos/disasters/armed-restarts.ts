/** A node that lives with failpoints armed: whenever it dies of one, it starts again with others. */
import { eventually, type TestNode } from "@aether/node/testing/cluster-harness";
import type { Stream } from "../../world/stream.ts";
import type { ChaosCluster } from "../disaster.ts";

const lookMs = 500;
const logMs = 30_000;
const seedBelow = 1_000_000_000;

export class ArmedRestarts {
  readonly #cluster: ChaosCluster;
  readonly #node: TestNode;
  readonly #life: Promise<void>;
  /** Times that it has ended by itself. */
  deaths = 0;
  #over = false;
  #wrong: Error | null = null;

  /** `rules` is drawn anew for each start; `longestDownMs` is how long it stays away at most. The node does not run yet. */
  constructor(cluster: ChaosCluster, node: TestNode, stream: Stream, rules: () => readonly string[], longestDownMs: number) {
    this.#cluster = cluster;
    this.#node = node;
    this.#life = this.#live(stream, rules, longestDownMs).catch((error: Error) => void (this.#wrong = error));
  }

  /** Ends the armed process. Rejects when the node ever ended for another reason than what was armed. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#life;
    await this.#cluster.kill(this.#node);
    if (this.#wrong !== null) throw this.#wrong;
  }

  async #live(stream: Stream, rules: () => readonly string[], longestDownMs: number): Promise<void> {
    while (!this.#over) {
      const environment = { AETHER_FAILPOINTS: rules().join(";"), AETHER_FAILPOINTS_SEED: String(stream.below(seedBelow)) };
      this.#cluster.start(this.#node, environment);
      // A run that is being given up starts nothing more.
      if (this.#node.process === null) return;
      while (!this.#over && this.#node.process !== null) await this.#cluster.ended(this.#node, lookMs).catch(() => null);
      // Nobody else ends it before #life has settled: if it runs no more, it ended by itself.
      if (this.#node.process !== null || this.#node.exit === null) return;
      await this.#checkEnd(this.#node.exit);
      this.deaths += 1;
      await this.#cluster.pause(stream.next() * longestDownMs);
    }
  }

  /** SIGKILL is what `kill` does; after `error` the daemon's last line names the failpoint. */
  async #checkEnd({ code, signal }: NonNullable<TestNode["exit"]>): Promise<void> {
    if (signal === "SIGKILL") return;
    const { harness } = this.#cluster;
    await eventually(`${this.#node.name} ended with ${signal ?? `code ${code}`}, and its log tells of a failpoint`, logMs, () => {
      const log = harness.logOf(this.#node);
      const words = log.slice(log.lastIndexOf(" info starting "));
      return code === 70 && / error fatal .*: failpoint /.test(words) ? true : undefined;
    });
  }
}
