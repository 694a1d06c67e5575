/** Asks `f` at most once in so many virtual milliseconds, and is false in between. */
export function every(ms: number, world: { readonly now: number }, f: () => boolean): () => boolean {
  let next = world.now + ms;
  return () => {
    if (world.now < next) return false;
    next = world.now + ms;
    return f();
  };
}
