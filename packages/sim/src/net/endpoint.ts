import type { Envelope, NodeId, Peer, SnapMeta, SnapshotStore, SnapshotWriter, Term, Transport } from "@aether/raft/types";
import type { Process } from "../world/world.ts";
import type { Network } from "./network.ts";

/** A snapshot crosses in pieces of this size. */
const chunkBytes = 2 * 1024;
/** How often a sender looks whether the other end is still there. */
const watchMs = 250;
/** A stream without a chunk for so long is given up. */
const silentMs = 5_000;

export interface EndpointParts {
  readonly id: NodeId;
  readonly node: string;
  readonly process: Process;
  readonly snapshots: SnapshotStore;
}

/** The transport of one process. */
export class Endpoint implements Transport {
  readonly id: NodeId;
  readonly node: string;
  readonly process: Process;
  onRecv: Transport["onRecv"] = () => undefined;
  onUnreachable: Transport["onUnreachable"] = () => undefined;
  onGone: Transport["onGone"] = () => undefined;
  onSnapshot: Transport["onSnapshot"] = () => undefined;
  readonly #network: Network;
  readonly #snapshots: SnapshotStore;
  #peers = new Set<NodeId>();
  readonly #told = new Set<NodeId>();
  #receiving = false;
  /** When each member was last heard, in the world's time. */
  readonly heardAt = new Map<NodeId, number>();

  constructor(network: Network, { id, node, process, snapshots }: EndpointParts) {
    this.#network = network;
    this.id = id;
    this.node = node;
    this.process = process;
    this.#snapshots = snapshots;
  }

  setPeers(peers: readonly Peer[]): void {
    this.#peers = new Set(peers.map(({ id }) => id));
  }

  /** Is that member one of those it speaks to? */
  knows(id: NodeId): boolean {
    return this.#peers.has(id);
  }

  send(batch: readonly Envelope[]): void {
    if (!this.process.alive) return;
    for (const envelope of batch) {
      const { to } = envelope;
      if (!this.#peers.has(to)) continue;
      if (this.#network.carry(this, envelope)) this.#told.delete(to);
      else if (!this.#told.has(to)) {
        this.#told.add(to);
        this.#network.world.after(0, this.process, "unreachable", () => this.onUnreachable(to));
      }
    }
  }

  /** Chunk by chunk over the network; each is written in the receiver's process, and what ends either end ends the stream. */
  sendSnapshot(to: NodeId, m: SnapMeta, src: SnapshotStore, term: Term): Promise<"installed" | "refused" | "broken"> {
    const other = this.#linked(to);
    if (other === undefined) return Promise.resolve("broken");
    if (other.#receiving) return Promise.resolve("refused");
    other.#receiving = true;
    const { world } = this.#network;
    return new Promise((resolve) => {
      let moved = world.now;
      let over = false;
      const end = (how: "installed" | "refused" | "broken"): void => {
        if (over) return;
        over = true;
        other.#receiving = false;
        resolve(how);
      };
      const watch = (): void => {
        if (over) return;
        if (!this.process.alive || this.#linked(to) !== other || world.now - moved > silentMs) end("broken");
        else world.after(watchMs, null, "watch", watch);
      };
      watch();
      /** Crosses the network and goes on in the process at the other end, unless the link breaks meanwhile. */
      const cross = (process: Process, then: () => Promise<void> | void): void => {
        world.after(this.#network.tripMs(), process, "chunk", () => {
          if (over || this.#linked(to) !== other) return end("broken");
          moved = world.now;
          Promise.resolve(then()).catch(() => end("broken"));
        });
      };
      const deliver = (): void => {
        other.onSnapshot(this.id, term, m);
        cross(this.process, () => end("installed"));
      };
      const pass = async (writer: SnapshotWriter): Promise<void> => {
        const { offset } = writer;
        const chunk = await src.read(m, offset, chunkBytes);
        cross(other.process, async () => {
          try {
            await writer.write(offset, chunk.bytes, chunk.crc);
            if (chunk.eof) await writer.commit();
          } catch {
            return cross(this.process, () => end("refused"));
          }
          if (chunk.eof) deliver();
          else cross(this.process, () => pass(writer));
        });
      };
      cross(other.process, async () => {
        if (other.#snapshots.has(m)) return deliver();
        const writer = await other.#snapshots.begin(m);
        cross(this.process, () => pass(writer));
      });
    });
  }

  close(): Promise<void> {
    this.#peers.clear();
    return Promise.resolve();
  }

  #linked(to: NodeId): Endpoint | undefined {
    if (!this.process.alive || !this.#peers.has(to)) return undefined;
    const other = this.#network.find(to);
    if (other === undefined || this.#network.isCut(this.node, other.node)) return undefined;
    return other;
  }
}
