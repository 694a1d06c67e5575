/** A watcher: follows the whole log through one member after another, and writes down every line with its time. */
import { openHttpClient } from "@aether/node/client/http-client";
import type { ClientTlsOptions } from "@aether/node/identity/tls";
import type { Stream } from "../world/stream.ts";
import type { SeenEntry, Watched } from "./evidence.ts";

export interface FeedWatcherParts {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly tls: ClientTlsOptions;
  readonly stream: Stream;
}

/** It leaves the member it reads at after this many lines on average. */
const stayLines = 2_000;
/** Broken connections in a row before it tries another member. */
const tries = 2;
const waitMs = 50;

export class FeedWatcher implements Watched {
  readonly name: string;
  readonly seen: SeenEntry[] = [];
  readonly refusals: string[] = [];
  readonly counts = { entries: 0, moves: 0 };
  readonly #parts: FeedWatcherParts;
  readonly #ended: Promise<void>;
  #running = true;
  #hangUp: () => void = () => undefined;
  #next = 1;

  /** Begins at once, with the first entry. */
  constructor(parts: FeedWatcherParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.#ended = this.#follow();
  }

  /** The index it waits for. */
  get next(): number {
    return this.#next;
  }

  /** Leaves the member it reads at: this one may be cut off from the others for long. */
  move(): void {
    this.#hangUp();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#hangUp();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { endpoints, tls, stream } = this.#parts;
    while (this.#running) {
      const client = openHttpClient({ endpoints: [stream.pick(endpoints)], tls, timeoutMs: 3_000 });
      this.#hangUp = () => client.close();
      const refused = await client.lines({
        from: this.#next,
        tries,
        path: (from) => `/v1/events?follow&from=${from}`,
        onLine: (line) => this.#see(line) && !stream.chance(1 / stayLines),
      });
      client.close();
      if (refused !== null && refused.reason !== "not_ready") this.refusals.push(`${refused.reason}: ${refused.message}`);
      this.counts.moves += 1;
      await new Promise((resume) => setTimeout(resume, waitMs));
    }
  }

  #see(line: Readonly<Record<string, unknown>> & { readonly index: number }): boolean {
    const { index } = line;
    this.seen.push({ index, term: line["term"] as number, events: line["events"] as unknown[], at: performance.now() });
    this.#next = index + 1;
    this.counts.entries += 1;
    return this.#running;
  }
}
