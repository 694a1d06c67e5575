import { invariant } from "@aether/raft/errors";
import type { Index, Term } from "@aether/raft/types";

/**
 * The term of every index in memory, as runs: terms change at elections only, so a log of any length has few of them.
 * The caller keeps the bounds; indexes below the first run or past the end have no meaning here.
 */
export class TermTable {
  readonly #starts: Index[] = [];
  readonly #terms: Term[] = [];

  /** Entries from `index` on have `term`, until the next call. Throws {@link Broken} unless indexes and terms ascend. */
  extend(index: Index, term: Term): void {
    const [start, newest] = [this.#starts.at(-1) ?? -1, this.#terms.at(-1) ?? -1];
    if (newest === term && index >= start) return;
    invariant(index > start && term > newest, `entry ${index} of term ${term} follows entry ${start} of term ${newest}`);
    this.#starts.push(index);
    this.#terms.push(term);
  }

  at(index: Index): Term {
    const run = this.#runOf(index);
    const term = this.#terms[run];
    if (term === undefined) throw new RangeError(`no term is known for index ${index}`);
    return term;
  }

  /** Forgets everything above `index`. */
  cutAfter(index: Index): void {
    const keep = this.#runOf(index) + 1;
    this.#starts.length = keep;
    this.#terms.length = keep;
  }

  /** Forgets everything below `index`, whose own term stays known. */
  cutBefore(index: Index): void {
    const run = this.#runOf(index);
    if (run <= 0) return;
    this.#starts.splice(0, run);
    this.#terms.splice(0, run);
  }

  /** Forgets all and starts again at one known entry. */
  reset(index: Index, term: Term): void {
    this.#starts.length = 0;
    this.#terms.length = 0;
    this.extend(index, term);
  }

  /** The last run that starts at or below `index`; most questions are about the newest one. */
  #runOf(index: Index): number {
    let high = this.#starts.length - 1;
    if (high < 0 || (this.#starts[high] as Index) <= index) return high;
    let low = -1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as Index) <= index) low = middle;
      else high = middle;
    }
    return low;
  }
}
