import type { Clock, Envelope, NodeId, Peer, SnapMeta, SnapshotStore, Term, Transport } from "../types.ts";

/** Messages under way on one link; a longer backlog drops the newest, as a socket's queue would. */
const maxOnLink = 4096;
/** A snapshot crosses in pieces of this size. */
const snapshotChunkBytes = 64 * 1024;

export interface NetworkOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1); decides which messages are lost. */
  readonly rng: () => number;
}

export interface InProcessNetwork {
  /** The transport of member `id`, whose incoming snapshots go to `snapshots`. Replaces an earlier one of that id. */
  join(id: NodeId, snapshots: SnapshotStore): Transport;
  /** One way, for every link, from now on; 0 delivers in the next turn of the event loop. */
  setDelay(ms: number): void;
  /** Chance of each message to be lost, for every link. Snapshot chunks are not lost but their streams can be cut. */
  setLoss(chance: number): void;
  /** Messages pass only within a group; an id in no group is alone. */
  partition(...groups: readonly (readonly NodeId[])[]): void;
  /** One direction only. */
  cut(from: NodeId, to: NodeId): void;
  heal(): void;
  /** Every envelope that is sent, before it may be lost. Returns the way to stop listening. */
  tap(listen: (envelope: Envelope) => void): () => void;
  readonly delivered: number;
}

interface Link {
  /** Messages sent since the last turn of the event loop; they travel and arrive together. */
  burst: Envelope[];
  /** All messages under way, the burst included. */
  count: number;
  /** When the newest burst arrives: links are FIFO even when the delay shrinks. */
  arrivesAt: number;
}

/** A network between drivers of one process: FIFO links with settable delay, loss and cuts. For tests and the simulator. */
export function makeInProcessNetwork(options: NetworkOptions): InProcessNetwork {
  return new Network(options);
}

class Network implements InProcessNetwork {
  delivered = 0;
  readonly #options: NetworkOptions;
  readonly #members = new Map<NodeId, Endpoint>();
  readonly #links = new Map<string, Link>();
  readonly #taps = new Set<(envelope: Envelope) => void>();
  #delayMs = 0;
  #loss = 0;
  #groups: readonly (readonly NodeId[])[] | null = null;
  readonly #cuts = new Set<string>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  join(id: NodeId, snapshots: SnapshotStore): Transport {
    const endpoint = new Endpoint(this, id, snapshots);
    this.#members.set(id, endpoint);
    return endpoint;
  }

  leave(endpoint: Endpoint): void {
    const { id } = endpoint;
    if (this.#members.get(id) !== endpoint) return;
    this.#members.delete(id);
    // As a kernel that hangs up for a process: told to whoever is connected, and not at all across a cut.
    for (const other of this.#members.values()) {
      const told = (): boolean => this.linked(id, other.id) && !this.#members.has(id);
      if (told()) this.#options.clock.immediate(() => told() && other.lostSight(id));
    }
  }

  setDelay(ms: number): void {
    this.#delayMs = ms;
  }

  setLoss(chance: number): void {
    this.#loss = chance;
  }

  partition(...groups: readonly (readonly NodeId[])[]): void {
    this.#groups = groups;
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#groups = null;
    this.#cuts.clear();
  }

  tap(listen: (envelope: Envelope) => void): () => void {
    this.#taps.add(listen);
    return () => this.#taps.delete(listen);
  }

  /** The endpoint of `to` when a message from `from` can reach it now. */
  reach(from: NodeId, to: NodeId): Endpoint | undefined {
    return this.linked(from, to) ? this.#members.get(to) : undefined;
  }

  linked(from: NodeId, to: NodeId): boolean {
    if (this.#cuts.has(`${from}>${to}`)) return false;
    return this.#groups === null || this.#groups.some((group) => group.includes(from) && group.includes(to));
  }

  /** False when the link is full or nobody is there. */
  carry(envelope: Envelope): boolean {
    for (const listen of this.#taps) listen(envelope);
    const { from, to } = envelope;
    if (this.reach(from, to) === undefined) return false;
    if (this.#loss > 0 && this.#options.rng() < this.#loss) return true;
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { burst: [], count: 0, arrivesAt: 0 };
      this.#links.set(key, link);
    }
    if (link.count >= maxOnLink) return false;
    link.count += 1;
    link.burst.push(envelope);
    if (link.burst.length === 1) this.#depart(link, from, to);
    return true;
  }

  /** Time for one trip, as a promise; used between the pieces of a snapshot. */
  trip(): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      if (this.#delayMs > 0) clock.after(this.#delayMs, resolve);
      else clock.immediate(resolve);
    });
  }

  #depart(link: Link, from: NodeId, to: NodeId): void {
    const { clock } = this.#options;
    clock.immediate(() => {
      const { burst } = link;
      link.burst = [];
      const arrive = (): void => {
        link.count -= burst.length;
        const endpoint = this.reach(from, to);
        if (endpoint === undefined) return;
        this.delivered += burst.length;
        endpoint.onRecv(burst);
      };
      link.arrivesAt = Math.max(link.arrivesAt, clock.now() + this.#delayMs);
      const wait = link.arrivesAt - clock.now();
      if (wait > 0) clock.after(wait, arrive);
      else arrive();
    });
  }
}

class Endpoint implements Transport {
  readonly id: NodeId;
  readonly snapshots: SnapshotStore;
  onRecv: Transport["onRecv"] = () => undefined;
  onUnreachable: Transport["onUnreachable"] = () => undefined;
  onGone: Transport["onGone"] = () => undefined;
  onSnapshot: Transport["onSnapshot"] = () => undefined;
  readonly #network: Network;
  readonly #peers = new Set<NodeId>();
  /** Told unreachable and not yet reached again. */
  readonly #lost = new Set<NodeId>();
  #receiving = false;
  #closed = false;

  constructor(network: Network, id: NodeId, snapshots: SnapshotStore) {
    this.#network = network;
    this.id = id;
    this.snapshots = snapshots;
  }

  setPeers(peers: readonly Peer[]): void {
    this.#peers.clear();
    for (const { id } of peers) this.#peers.add(id);
  }

  /** The process of `id` has ended. */
  lostSight(id: NodeId): void {
    if (!this.#closed && this.#peers.has(id)) this.onGone(id);
  }

  send(batch: readonly Envelope[]): void {
    if (this.#closed) return;
    for (const envelope of batch) {
      const { to } = envelope;
      if (!this.#peers.has(to)) continue;
      if (this.#network.carry(envelope)) this.#lost.delete(to);
      else if (!this.#lost.has(to)) {
        this.#lost.add(to);
        this.onUnreachable(to);
      }
    }
  }

  async sendSnapshot(to: NodeId, m: SnapMeta, src: SnapshotStore, term: Term): Promise<"installed" | "refused" | "broken"> {
    const other = this.#linked(to);
    if (other === undefined) return "broken";
    if (!other.snapshots.has(m)) {
      if (other.#receiving) return "refused";
      other.#receiving = true;
      const outcome = await this.#stream(other, m, src).finally(() => {
        other.#receiving = false;
      });
      if (outcome !== "installed") return outcome;
    }
    if (this.#linked(to) !== other) return "broken";
    other.onSnapshot(this.id, term, m);
    return "installed";
  }

  /** When the link breaks, what has arrived stays as a partial, and the next stream of it goes on from there. */
  async #stream(other: Endpoint, m: SnapMeta, src: SnapshotStore): Promise<"installed" | "refused" | "broken"> {
    const writer = await other.snapshots.begin(m);
    let offset = writer.offset;
    for (let eof = false; !eof;) {
      const chunk = await src.read(m, offset, snapshotChunkBytes);
      await this.#network.trip();
      if (this.#linked(other.id) !== other) return "broken";
      await writer.write(offset, chunk.bytes, chunk.crc);
      offset += chunk.bytes.length;
      eof = chunk.eof;
    }
    return writer.commit().then(
      () => "installed",
      () => "refused",
    );
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#peers.clear();
    this.#network.leave(this);
    return Promise.resolve();
  }

  #linked(to: NodeId): Endpoint | undefined {
    return this.#closed || !this.#peers.has(to) ? undefined : this.#network.reach(this.id, to);
  }
}
