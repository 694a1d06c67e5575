/** What is made of a list of measurements. Every function gives NaN of nothing, and none changes what it is given. */

const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that a share `q` (0 to 1) of all values does not exceed: nearest rank, never between two values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = ascending(values);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export const lowest = (values: readonly number[]): number => quantile(values, 0);
export const highest = (values: readonly number[]): number => quantile(values, 1);

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The longest time between two neighbours of `times` that ends after `from`, and begins before `before`. */
export function silenceAround(times: readonly number[], from: number, before: number): { began: number; ended: number } | null {
  const sorted = ascending(times);
  let found: { began: number; ended: number } | null = null;
  for (let i = 1; i < sorted.length; i++) {
    const began = sorted[i - 1] ?? 0;
    const ended = sorted[i] ?? 0;
    if (ended <= from || began >= before) continue;
    if (found === null || ended - began > found.ended - found.began) found = { began, ended };
  }
  return found;
}
