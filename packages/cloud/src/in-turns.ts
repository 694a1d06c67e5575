/** Many small works of which only some may run at once: calls to a vendor. */

/** Runs all, at most `atOnce` at a time, and gives their results in the order given. The first failure ends it; what runs goes on unheard. */
export async function inTurns<A>(works: readonly (() => Promise<A>)[], atOnce: number): Promise<readonly A[]> {
  const results: A[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < works.length; at = next++) {
      const work = works[at];
      if (work !== undefined) results[at] = await work();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, works.length) }, worker));
  return results;
}
