/**
 * The moment of the log that was worked out last, kept for a minute: a restore comes after its plan, and what was wanted at an index
 * never changes. Given out once, so that its memory goes with the restore.
 */
import type { WantedThing } from "@aether/core/backup/thing-files";
import type { RestoreSource } from "@aether/core/restoration/state";

export interface Found {
  readonly source: RestoreSource;
  readonly things: readonly WantedThing[];
}

const keptMs = 60_000;
/** Larger ones are worked out again: they would take more memory than a minute of them is worth. */
const thingsMax = 100_000;

export class LastMoment {
  #kept: { readonly found: Found; readonly timer: NodeJS.Timeout } | null = null;

  keep(found: Found): void {
    this.forget();
    if (found.things.length > thingsMax) return;
    const timer = setTimeout(() => this.forget(), keptMs).unref();
    this.#kept = { found, timer };
  }

  /** Null when another one, or none, was kept. */
  take(index: number): Found | null {
    const found = this.#kept?.found ?? null;
    if (found?.source.index !== index) return null;
    this.forget();
    return found;
  }

  forget(): void {
    clearTimeout(this.#kept?.timer);
    this.#kept = null;
  }
}
