/** "Did you mean": the known word that a typing mistake most likely meant. */

/** The nearest of `known`, if it is at most a third of the word's length away; the first of equals. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const far = editDistance(word, candidate, least);
    if (far < least) [best, least] = [candidate, far];
  }
  return best;
}

/**
 * Insertions, deletions, replacements and swaps of neighbours from `a` to `b` (Damerau–Levenshtein, optimal string alignment);
 * any number from `enough` on stands for "too far".
 */
export function editDistance(a: string, b: string, enough = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) >= enough) return enough;
  const width = b.length + 1;
  const cost = new Uint16Array((a.length + 1) * width);
  const at = (row: number, column: number): number => cost[row * width + column] ?? 0;
  for (let row = 0; row <= a.length; row++) {
    for (let column = 0; column < width; column++) {
      let value = row + column;
      if (row > 0 && column > 0) {
        const differs = a[row - 1] === b[column - 1] ? 0 : 1;
        value = Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, at(row - 1, column - 1) + differs);
        const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
        if (swapped) value = Math.min(value, at(row - 2, column - 2) + 1);
      }
      cost[row * width + column] = value;
    }
  }
  return at(a.length, b.length);
}
