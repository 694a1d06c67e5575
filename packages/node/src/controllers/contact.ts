/**
 * How long each member has been silent, as a leader may judge it. A new leader was itself without a leader for a while,
 * and whatever silenced the old one may have silenced others on the way: it grants everybody the length of that outage,
 * at most {@link graceMaxMs}, before it counts anyone's silence.
 */
import type { NodeId, Role } from "@aether/raft/types";

export const graceMaxMs = 60_000;

export interface ContactClock {
  /** Told of every role change of this member. */
  onRole(role: Role): void;
  /**
   * Milliseconds of silence that count against each member, 0 for a recent word. `heardAt` gives the monotonic time of a
   * member's last word, undefined for never: then it counts from when the member was first asked about. Null while this
   * member does not lead.
   */
  ages(members: readonly NodeId[], heardAt: (member: NodeId) => number | undefined): ReadonlyMap<NodeId, number> | null;
}

/** `now` is monotonic, in milliseconds. */
export function makeContactClock(now: () => number): ContactClock {
  let leaderlessSince: number | null = now();
  let countsFrom: number | null = null;
  /** When each member was first asked about, in this leadership. */
  let known = new Map<NodeId, number>();
  return {
    onRole: (role) => {
      if (role.state !== "leader") {
        countsFrom = null;
        known = new Map();
        leaderlessSince = role.leader === 0 ? (leaderlessSince ?? now()) : null;
        return;
      }
      if (countsFrom === null) countsFrom = now() + Math.min(graceMaxMs, now() - (leaderlessSince ?? now()));
      leaderlessSince = null;
    },
    ages: (members, heardAt) => {
      if (countsFrom === null) return null;
      const from = countsFrom;
      known = new Map(members.map((member) => [member, known.get(member) ?? now()]));
      return new Map(
        [...known].map(([member, since]) => [member, Math.max(0, now() - Math.max(from, heardAt(member) ?? since))]),
      );
    },
  };
}
