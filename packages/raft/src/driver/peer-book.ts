import { memberIds } from "../core/confchange.ts";
import type { Membership, NodeId, Peer, Transport } from "../types.ts";

/** Senders outside the membership that are answered at once; the ones heard longest ago give way. */
const maxGuests = 16;
/** A guest that was silent this long is disconnected. */
const guestMs = 10_000;

/**
 * Whom the transport keeps connections to: the membership, the leader (a joining learner knows no membership yet), and
 * guests: members of a newer membership than ours that ask us for a vote or send us appends. An id without a known
 * address is left out until {@link refresh}.
 */
export class PeerBook {
  readonly #self: NodeId;
  readonly #transport: Transport;
  readonly #addressOf: (id: NodeId) => string | undefined;
  #members: readonly NodeId[] = [];
  #leader: NodeId = 0;
  readonly #guests = new Map<NodeId, number>();
  #told = "";

  constructor(self: NodeId, transport: Transport, addressOf: (id: NodeId) => string | undefined) {
    this.#self = self;
    this.#transport = transport;
    this.#addressOf = addressOf;
  }

  membership(m: Membership): void {
    this.#members = memberIds(m);
    for (const id of this.#members) this.#guests.delete(id);
    this.refresh();
  }

  leader(id: NodeId): void {
    this.#leader = id;
    this.refresh();
  }

  /** Something came from `id`. */
  heard(id: NodeId, now: number): void {
    if (this.#members.includes(id)) return;
    const known = this.#guests.delete(id);
    this.#guests.set(id, now);
    if (known) return;
    const oldest = this.#guests.keys().next().value;
    if (this.#guests.size > maxGuests && oldest !== undefined) this.#guests.delete(oldest);
    this.refresh();
  }

  tick(now: number): void {
    if (this.#guests.size === 0) return;
    const silent = [...this.#guests].filter(([, heard]) => now - heard > guestMs);
    for (const [id] of silent) this.#guests.delete(id);
    if (silent.length > 0) this.refresh();
  }

  /** Looks the addresses up again and tells the transport if anything changed. */
  refresh(): void {
    const ids = new Set([...this.#members, this.#leader, ...this.#guests.keys()]);
    const peers: Peer[] = [];
    for (const id of ids) {
      const address = id === 0 || id === this.#self ? undefined : this.#addressOf(id);
      if (address !== undefined) peers.push({ id, address });
    }
    const told = peers.map((peer) => `${peer.id}=${peer.address}`).join(" ");
    if (told === this.#told) return;
    this.#told = told;
    this.#transport.setPeers(peers);
  }
}
