/** The history is cut where it has become long enough, in the way of git, which takes the oldest commit that is kept as the first one. */
import type { Oid } from "./object.ts";
import type { Repository } from "./repository.ts";

/**
 * Keeps the newest `keep` commits (at least 1). Gives the oldest one that is kept, null when there are no more than that. What the others
 * held is left behind when packs are next brought together.
 */
export async function cutHistory(repository: Repository, keep: number): Promise<Oid | null> {
  if (!Number.isSafeInteger(keep) || keep < 1) throw new RangeError(`${keep} is no number of commits to keep`);
  let oldest: Oid | null = null;
  let parents = 0;
  let count = 0;
  for await (const { oid, commit } of repository.log(keep)) {
    oldest = oid;
    parents = commit.parents.length;
    count++;
  }
  if (oldest === null || count < keep || parents === 0) return null;
  const cut = await repository.boundary();
  if (cut.size !== 1 || !cut.has(oldest)) await repository.setBoundary([oldest]);
  return oldest;
}
