/** Calls to a vendor at once; its limits are the provider's to keep. */
const atOnce = 8;

/** Runs `act` for all items, at most {@link atOnce} at a time, and all to their end; then throws the first failure, in the items' order. */
export async function sideBySide<A, B>(items: readonly A[], act: (item: A) => Promise<B>): Promise<readonly B[]> {
  const ends: (PromiseSettledResult<B> | undefined)[] = items.map(() => undefined);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      const [end] = await Promise.allSettled([act(items[at] as A)]);
      ends[at] = end;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return ends.map((end) => {
    if (end?.status === "fulfilled") return end.value;
    throw end?.reason;
  });
}
