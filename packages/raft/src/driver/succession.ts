import type { Clock, Input, NodeId, Role } from "../types.ts";

/** Until a follower asks for votes: time for the others to learn of it as well, and apart, so that not all ask at once. */
const leastMs = 50;
const spreadMs = 150;

export interface SuccessionPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly rng: () => number;
  readonly role: () => Role;
  readonly step: (input: Input) => void;
}

/**
 * A leader whose process is over need not be waited for until the election timeout. A follower that learns of it stops believing
 * in it, so that it grants its vote to others, and asks for votes itself a little later, unless somebody leads by then.
 *
 * It is a hint and no more: nothing but the pre-vote is asked for, which a member that still hears the leader does not answer, and
 * a follower that hears it again follows it again. A leader that vanishes without a word is still given its election timeout.
 */
export class Succession {
  readonly #ports: SuccessionPorts;
  #cancel: (() => void) | null = null;

  constructor(ports: SuccessionPorts) {
    this.#ports = ports;
  }

  /** The process of member `id` is over, as far as the transport can see. */
  gone(id: NodeId): void {
    const { clock, rng, role, step } = this.#ports;
    const { state, leader, term } = role();
    if (this.#cancel !== null || state !== "follower" || leader !== id) return;
    step({ k: "forgetLeader" });
    this.#cancel = clock.after(leastMs + rng() * spreadMs, () => {
      this.#cancel = null;
      const now = role();
      if (now.state === "follower" && now.leader === 0 && now.term === term) step({ k: "campaign" });
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
