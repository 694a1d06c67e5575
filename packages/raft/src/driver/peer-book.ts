import { memberIds } from "../core/confchange.ts";
import type { Membership, NodeId, Peer, Transport } from "../types.ts";

/** Senders outside the membership that are answered at once; the ones heard longest ago give way. */
const maxGuests = 16;
/** A guest that was silent this long is disconnected. */
const guestMs = 10_000;

/**
 * Whom the transport keeps connections to: the membership, and guests, which are senders that it does not name. They may
 * be members of a newer membership than ours that ask for our vote, the leader of a cluster that we are only joining, or
 * one that was removed and is to be told so. An id without a known address is left out until {@link refresh}.
 */
export class PeerBook {
  readonly #self: NodeId;
  readonly #transport: Transport;
  readonly #addressOf: (id: NodeId) => string | undefined;
  #members: readonly NodeId[] = [];
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
    const peers: Peer[] = [];
    for (const id of [...this.#members, ...this.#guests.keys()]) {
      const address = id === this.#self ? undefined : this.#addressOf(id);
      if (address !== undefined) peers.push({ id, address });
    }
    const told = peers.map((peer) => `${peer.id}=${peer.address}`).join(" ");
    if (told === this.#told) return;
    this.#told = told;
    this.#transport.setPeers(peers);
  }
}
