/**
 * Sends one snapshot to one peer: offer, wait for where to begin, then chunks with a few on their way, until the
 * receiver says that the whole is durable. A broken connection is waited out and the stream goes on where the receiver
 * stands.
 */
import type { SnapMeta, SnapshotStore, Term } from "@aether/raft/types";
import type { Link } from "./link.ts";
import type { TransportLimits } from "./limits.ts";
import { encodeChunk, encodeWord, type SnapshotWord } from "./snapshot-words.ts";

export type SnapshotOutcome = "installed" | "refused" | "broken";

type Happening = { readonly h: "word"; readonly word: SnapshotWord } | { readonly h: "up" } | { readonly h: "down" } | Ending;
type Ending = { readonly h: "stopped" } | { readonly h: "late" };

export interface SenderOptions {
  readonly link: Link;
  readonly limits: TransportLimits;
  readonly pacer: Pacer;
  readonly meta: SnapMeta;
  readonly source: SnapshotStore;
  readonly term: Term;
  /** A number never used before on this link. */
  readonly nextStream: () => number;
}

export class SnapshotSender {
  readonly #o: SenderOptions;
  #inbox: Happening[] = [];
  #wake: ((h: Happening) => void) | null = null;
  #stopped = false;

  constructor(o: SenderOptions) {
    this.#o = o;
  }

  /** What the receiver says. Words of an earlier attempt are dropped where they are read. */
  word(word: SnapshotWord): void {
    this.#tell({ h: "word", word });
  }

  linkChanged(up: boolean): void {
    this.#tell({ h: up ? "up" : "down" });
  }

  /** Ends the stream: the transport closes, or the peer is not wanted any more. */
  stop(): void {
    this.#stopped = true;
    this.#tell({ h: "stopped" });
  }

  /** Never rejects for what the network or the receiver do; does when the snapshot itself cannot be read here. */
  async run(): Promise<SnapshotOutcome> {
    let furthest = -1;
    for (let fruitless = 0; fruitless < this.#o.limits.snapshotTries;) {
      if (!(await this.#linkUp())) return "broken";
      const { outcome, reached } = await this.#attempt();
      if (outcome !== "cut") return outcome;
      fruitless = reached > furthest ? 0 : fruitless + 1;
      furthest = Math.max(furthest, reached);
    }
    return "broken";
  }

  async #linkUp(): Promise<boolean> {
    const { link, limits } = this.#o;
    const until = performance.now() + limits.snapshotPatienceMs;
    while (!link.open) {
      const happening = await this.#next(until - performance.now());
      if (happening.h === "stopped" || happening.h === "late") return false;
    }
    this.#inbox = this.#inbox.filter(({ h }) => h === "stopped");
    return !this.#stopped;
  }

  async #attempt(): Promise<{ readonly outcome: SnapshotOutcome | "cut"; readonly reached: number }> {
    const { link, limits, meta, term, source, pacer } = this.#o;
    const stream = this.#o.nextStream();
    let reached = -1;
    const cut = (why: "cut" | "broken") => ({ outcome: why, reached }) as const;
    if (!link.sendText(encodeWord({ t: "offer", stream, term, meta }))) return cut("cut");
    let offset: number | null = null;
    let sent: number[] = [];
    let eof = false;
    for (;;) {
      if (offset !== null && !eof && sent.length < limits.snapshotWindow && this.#inbox.length === 0) {
        const chunk = await source.read(meta, offset, limits.snapshotChunkBytes);
        await pacer.wait(chunk.bytes.length);
        if (!link.open || this.#stopped) return cut(this.#stopped ? "broken" : "cut");
        link.send([{ bytes: encodeChunk({ stream, offset, ...chunk }), messages: 1 }]);
        offset += chunk.bytes.length;
        sent.push(offset);
        eof = chunk.eof;
        continue;
      }
      const happening = await this.#next(limits.snapshotPatienceMs);
      if (happening.h === "stopped") return cut("broken");
      if (happening.h === "down") return cut("cut");
      if (happening.h === "late") {
        link.reset("the receiver of a snapshot fell silent");
        return cut("cut");
      }
      if (happening.h === "up" || happening.word.stream !== stream) continue;
      const { word } = happening;
      if (word.t === "done") return { outcome: "installed", reached };
      if (word.t === "refuse") return { outcome: "refused", reached };
      if (word.t === "accept" && offset === null) offset = word.resumeAt;
      if (word.t === "ack") sent = sent.filter((end) => end > word.offset);
      reached = word.t === "ack" ? word.offset : Math.max(reached, offset ?? -1);
    }
  }

  #tell(h: Happening): void {
    const wake = this.#wake;
    this.#wake = null;
    if (wake === null) this.#inbox.push(h);
    else wake(h);
  }

  /** The next thing that happens, or "late". The receiver says little: an offer's answer and one word per chunk. */
  #next(patienceMs: number): Promise<Happening> {
    const first = this.#inbox.shift();
    if (first !== undefined) return Promise.resolve(first);
    if (this.#stopped) return Promise.resolve({ h: "stopped" });
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          this.#wake = null;
          resolve({ h: "late" });
        },
        Math.max(0, patienceMs),
      );
      this.#wake = (h) => {
        clearTimeout(timer);
        resolve(h);
      };
    });
  }
}

/** Keeps all snapshots together below a rate, so that a newcomer does not take the network from the rest. */
export class Pacer {
  readonly #bytesPerMs: number;
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Resolves when `bytes` more may leave. */
  async wait(bytes: number): Promise<void> {
    const now = performance.now();
    const begins = Math.max(now, this.#freeAt);
    this.#freeAt = begins + bytes / this.#bytesPerMs;
    if (begins > now) await new Promise((resolve) => setTimeout(resolve, begins - now));
  }
}
