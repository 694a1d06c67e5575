/** "Did you mean": the nearest known word, if it is near enough to be a typing mistake, or begins with what was typed. */
import { editDistance } from "@aether/core/kernel/nearest";

export function suggest(word: string, known: readonly string[]): string | undefined {
  const limit = word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3;
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ candidate, distance: far }) => far <= limit || (word.length >= 3 && candidate.startsWith(word)))
    .toSorted((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}
