/** The outcome of an election as far as the ballots seen decide it. */
export type VoteResult = "won" | "lost" | "pending";

/**
 * The largest value that more than half of `acked` have reached: the median, low side. Sorts `acked` in place.
 * No members impose no bound: Infinity.
 */
export function majorityIndex(acked: number[]): number {
  const n = acked.length;
  if (n === 0) return Infinity;
  for (let i = 1; i < n; i++) {
    const value = acked[i]!;
    let j = i - 1;
    for (; j >= 0 && acked[j]! > value; j--) acked[j + 1] = acked[j]!;
    acked[j + 1] = value;
  }
  return acked[(n - 1) >> 1]!;
}

/** What both majorities of a joint membership have reached. An empty `outgoing` means the membership is not joint. */
export function jointIndex(incoming: number[], outgoing: number[]): number {
  return Math.min(majorityIndex(incoming), majorityIndex(outgoing));
}

/** One majority's verdict; `undefined` is a member that has not answered. No members: won. */
export function majorityVote(ballots: readonly (boolean | undefined)[]): VoteResult {
  let yes = 0;
  let open = 0;
  for (const ballot of ballots) {
    if (ballot === true) yes++;
    else if (ballot === undefined) open++;
  }
  const needed = ballots.length === 0 ? 0 : Math.floor(ballots.length / 2) + 1;
  if (yes >= needed) return "won";
  return yes + open >= needed ? "pending" : "lost";
}

/** Both majorities must be won; losing either loses. */
export function jointVote(incoming: VoteResult, outgoing: VoteResult): VoteResult {
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
