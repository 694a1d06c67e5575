/**
 * The network between members, at the level of messages: each is encoded and decoded by the product's codec, and may be
 * lost, repeated, held up or overtaken; links have a limit, can clog, and can be cut in one direction.
 */
import { crc32 } from "node:zlib";
import type { Envelope, NodeId, SnapshotStore } from "@aether/raft/types";
import { clusterMark, decodeFrame, encodeFrames } from "@aether/node/transport/frames";
import { ByteReader, ByteWriter } from "@aether/node/transport/byte-cursor";
import { messageBytes, readMessage, writeMessage } from "@aether/node/transport/message-codec";
import { clusterId } from "../cluster/names.ts";
import { hold } from "../checks/violation.ts";
import type { Stream } from "../world/stream.ts";
import type { Process, World } from "../world/world.ts";
import { Endpoint } from "./endpoint.ts";

export interface NetworkFaults {
  /** Mean time until a dial finds out that nobody listens any more; 0: nobody is told. */
  goneMs: number;
  meanMs: number;
  loss: number;
  repeat: number;
  /** Chance of a message to close its link for a while. */
  clogChance: number;
  clogMs: number;
  /** Messages under way on one link. */
  capacity: number;
  /** Chance of a message to arrive cut short or altered. */
  cutChance: number;
}

export interface NetworkStreams {
  readonly messages: Stream;
  readonly cutting: Stream;
  readonly dialling: Stream;
}

/** Dials of one member to another that has died; by then any follower has an election timeout behind it. */
const dialsMax = 8;

const mark = clusterMark(clusterId);

export const calm: NetworkFaults = {
  meanMs: 1,
  loss: 0,
  repeat: 0,
  clogChance: 0,
  clogMs: 0,
  capacity: 4096,
  cutChance: 0,
  goneMs: 0,
};

interface Link {
  underWay: number;
  /** Counts how often the link was made anew; what was under way before is lost. */
  connection: number;
  cloggedUntil: number;
}

export class Network {
  faults: NetworkFaults;
  readonly counts = { sent: 0, lost: 0, repeated: 0, clogged: 0, refused: 0, cutShort: 0, goneTold: 0 };
  readonly world: World;
  /** Sees every message that is sent. */
  onCarry: (envelope: Envelope) => void = () => undefined;
  /** Sees every message as it is handed to the process that it is for. */
  onArrival: (envelope: Envelope) => void = () => undefined;
  readonly #stream: Stream;
  readonly #cutting: Stream;
  readonly #dialling: Stream;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  readonly #links = new Map<string, Link>();
  /** "from>to" by node name. */
  readonly #cuts = new Set<string>();

  constructor(world: World, faults: NetworkFaults, { messages, cutting, dialling }: NetworkStreams) {
    this.world = world;
    this.faults = faults;
    this.#stream = messages;
    this.#cutting = cutting;
    this.#dialling = dialling;
  }

  /** The transport of a running process that is member `id`. It leaves the network when the process dies. */
  join(id: NodeId, node: string, process: Process, snapshots: SnapshotStore): Endpoint {
    const endpoint = new Endpoint(this, { id, node, process, snapshots });
    this.#endpoints.set(id, endpoint);
    process.onDeath(() => {
      if (this.#endpoints.get(id) === endpoint) this.#endpoints.delete(id);
      for (const other of this.#endpoints.values()) this.#redial(other, endpoint, 0);
    });
    return endpoint;
  }

  /**
   * Connections end with their process, so the others dial again; where nobody listens the kernel says so at once. A cut link says
   * nothing. Repeated as long as nobody is there, as the product does, each time later.
   */
  #redial(from: Endpoint, dead: Endpoint, tried: number): void {
    const { goneMs } = this.faults;
    if (goneMs === 0 || tried === dialsMax || !from.knows(dead.id)) return;
    this.world.after(this.#dialling.around(goneMs * (tried + 1)), from.process, "dial", () => {
      if (this.faults.goneMs === 0 || this.find(dead.id) !== undefined) return;
      if (!this.isCut(from.node, dead.node) && !this.isCut(dead.node, from.node)) {
        this.counts.goneTold += 1;
        from.onGone(dead.id);
      }
      this.#redial(from, dead, tried + 1);
    });
  }

  /**
   * The connections between two processes that live are reset and dials are refused, as a firewall does it that was told to: each is
   * told that the other is gone, and hears nothing of it.
   */
  reset(one: Endpoint, other: Endpoint): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      this.cut(from.node, to.node);
      this.#link(`${from.id}>${to.id}`).connection += 1;
      if (!from.knows(to.id)) continue;
      this.world.within(from.process, "reset", () => {
        from.onUnreachable(to.id);
        from.onGone(to.id);
      });
    }
  }

  /** A reset is over, unless the link is cut by then for another reason, which it then ends as well. */
  mend(one: string, other: string): void {
    this.#cuts.delete(`${one}>${other}`);
    this.#cuts.delete(`${other}>${one}`);
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
    for (const link of this.#links.values()) link.cloggedUntil = 0;
  }

  find(id: NodeId): Endpoint | undefined {
    return this.#endpoints.get(id);
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** One way, for something that is not lost but may take long. */
  tripMs(): number {
    return this.#stream.around(this.faults.meanMs);
  }

  /** False when the link is full or nobody is there. */
  carry(from: Endpoint, envelope: Envelope): boolean {
    const { faults, counts } = this;
    this.onCarry(envelope);
    const target = this.find(envelope.to);
    const link = this.#link(`${envelope.from}>${envelope.to}`);
    counts.sent += 1;
    if (target === undefined || link.underWay >= faults.capacity) {
      counts.refused += 1;
      return false;
    }
    if (this.#stream.chance(faults.loss)) {
      counts.lost += 1;
      return true;
    }
    if (this.#stream.chance(faults.clogChance)) {
      counts.clogged += 1;
      link.cloggedUntil = this.world.now + this.#stream.around(faults.clogMs);
    }
    if (this.#cutting.chance(faults.cutChance)) {
      this.#cutShort(from, envelope, link);
      return true;
    }
    const bytes = encode(envelope);
    this.world.mixNumber(crc32(bytes));
    this.#depart(from, envelope, bytes, link);
    if (this.#stream.chance(faults.repeat)) {
      counts.repeated += 1;
      this.#depart(from, envelope, bytes, link);
    }
    return true;
  }

  /**
   * The frame arrives shorter than it was sent, or with a byte changed: the product's decoder has to refuse it, whereupon the
   * connection is closed and made anew, and all that was under way on it is gone.
   */
  #cutShort(from: Endpoint, envelope: Envelope, link: Link): void {
    this.counts.cutShort += 1;
    const route = { cluster: mark, from: from.id, to: envelope.to };
    const [frame] = encodeFrames(route, [envelope]);
    const whole = (frame as { readonly bytes: Buffer }).bytes;
    const bytes = this.#cutting.chance(0.5) ? whole.subarray(0, this.#cutting.below(whole.length)) : Buffer.from(whole);
    if (bytes.length === whole.length) {
      const at = this.#cutting.below(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 + this.#cutting.below(255));
    }
    const decoded = decodeFrame(bytes, mark);
    hold(!decoded.ok, "a frame that was cut is refused", () => `${envelope.m.t} from ${from.id} with ${bytes.length} bytes`);
    link.connection += 1;
    this.world.tell(
      from.node,
      `${envelope.m.t} to ${envelope.to} is cut short (${decoded.ok ? "" : decoded.why}): a new connection`,
    );
    this.world.after(this.tripMs(), from.process, "unreachable", () => from.onUnreachable(envelope.to));
  }

  /** Runs `then` at the other end of one way of a request, unless the way is cut when it leaves or when it arrives. */
  pass(from: string, to: string, chance: Stream, then: () => void): void {
    if (this.isCut(from, to) || chance.chance(this.faults.loss)) return;
    this.world.after(chance.around(this.faults.meanMs), null, "passes", () => {
      if (!this.isCut(from, to)) then();
    });
  }

  #link(key: string): Link {
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { underWay: 0, connection: 0, cloggedUntil: 0 };
      this.#links.set(key, link);
    }
    return link;
  }

  #depart(from: Endpoint, { to, m }: Envelope, bytes: Buffer, link: Link): void {
    link.underWay += 1;
    const { connection } = link;
    const wait = Math.max(0, link.cloggedUntil - this.world.now) + this.tripMs();
    this.world.after(wait, null, m.t, () => {
      link.underWay -= 1;
      const target = this.find(to);
      if (target === undefined || link.connection !== connection || this.isCut(from.node, target.node)) {
        this.counts.lost += 1;
        return;
      }
      const arrived = readMessage(new ByteReader(bytes), from.id, to);
      if (arrived === null) throw new Error(`a ${m.t} did not survive its own codec`);
      this.world.within(target.process, "arrives", () => {
        target.heardAt.set(from.id, this.world.now);
        this.onArrival(arrived);
        target.onRecv([arrived]);
      });
    });
  }
}

function encode({ term, m }: Envelope): Buffer {
  const bytes = Buffer.alloc(messageBytes(m));
  writeMessage(new ByteWriter(bytes), term, m);
  return bytes;
}
