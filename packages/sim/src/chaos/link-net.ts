/** All links of a cluster: one proxy for each ordered pair of nodes. */
import type { Stream } from "../world/stream.ts";
import { LinkProxy, type LinkCounts, type LinkMode } from "./link-proxy.ts";

export class LinkNet {
  /** By "from>to". */
  readonly #links = new Map<string, LinkProxy>();
  readonly #stream: Stream;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** The address that `from` dials to reach `to`, which listens on `target`. */
  async route(from: string, to: string, target: string): Promise<string> {
    const proxy = await LinkProxy.open(target, this.#stream);
    this.#links.set(`${from}>${to}`, proxy);
    return proxy.address;
  }

  /** What `from` dials to reach `to`. Throws on a pair that is none. */
  link(from: string, to: string): LinkProxy {
    const found = this.#links.get(`${from}>${to}`);
    if (found === undefined) throw new Error(`no link from ${from} to ${to}`);
    return found;
  }

  get all(): readonly LinkProxy[] {
    return [...this.#links.values()];
  }

  /**
   * Nothing that `from` says reaches `to`, on whoever's connection: what it dialled, and what `to` dialled. With both
   * directions of both pairs cut, the two know nothing of each other.
   */
  silence(from: string, to: string, how: "drop" | "blackhole" | "hold"): void {
    if (how === "drop") return this.link(from, to).set({ m: "drop" });
    this.#add(this.link(from, to), how, "forth");
    this.#add(this.link(to, from), how, "back");
  }

  heal(): void {
    for (const proxy of this.#links.values()) proxy.set({ m: "open" });
  }

  counts(): LinkCounts {
    const sum: LinkCounts = { connections: 0, broken: 0, bytes: 0, swallowedBytes: 0, delayedBytes: 0 };
    for (const { counts } of this.#links.values()) {
      for (const name of Object.keys(sum) as (keyof LinkCounts)[]) sum[name] += counts[name];
    }
    return sum;
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((proxy) => proxy.close()));
  }

  #add(proxy: LinkProxy, how: "blackhole" | "hold", way: "forth" | "back"): void {
    const { mode } = proxy;
    const before = mode.m === how ? mode.ways : [];
    const next: LinkMode = { m: how, ways: [...new Set([...before, way])] };
    proxy.set(next);
  }
}
