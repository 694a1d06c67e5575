/**
 * The members' transport: mutual TLS, websockets, three connections per peer and direction (appends, control,
 * snapshots). Connections are only ever used by the side that dialled them, except that a member we have no address of
 * is answered on its own. Losing one is a hint, never a fact.
 *
 * What it promises consensus: messages of one peer and channel arrive in order or not at all, whole or not at all, from
 * the member they say they are from; and nothing waits without a bound.
 */
import { performance } from "node:perf_hooks";
import type { Envelope, NodeId, Peer, SnapMeta, SnapshotStore, Term, Transport } from "@aether/raft/types";
import { WebSocketServer, type WebSocket } from "ws";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { IsRevoked, PeerIdentity } from "../identity/certificate-identity.ts";
import { clientTls, type TlsMaterial } from "../identity/tls.ts";
import { DialSlots } from "./dial-slots.ts";
import { clusterMark, decodeFrame, encodeFrames, frameBytesMax } from "./frames.ts";
import { Incarnations, type Channel, type CloseReason, type HelloJudge, type Standing } from "./handshake.ts";
import { Inbound, type InboundSocket } from "./inbound.ts";
import { defaultTransportLimits, type TransportLimits } from "./limits.ts";
import type { LinkContext } from "./link.ts";
import { isAppend, PeerLine, type LineStats } from "./peer-line.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import { Pacer, SnapshotSender, type SnapshotOutcome } from "./snapshot-sender.ts";
import { parseWord } from "./snapshot-words.ts";

export interface PeerTransportOptions {
  readonly clusterId: string;
  readonly self: {
    readonly id: NodeId;
    /** Grows with every start of this member's process: Unix milliseconds at start will do. */
    readonly incarnation: number;
    readonly build: string;
    readonly features: readonly string[];
  };
  readonly tls: TlsMaterial;
  readonly isRevoked?: IsRevoked;
  /** Where snapshots from peers are put. */
  readonly snapshots: SnapshotStore;
  /** What this node knows of a member id that a certificate of `name` claims. Unknown ids are "welcome". */
  readonly standing: (id: NodeId, name: string) => Standing;
  readonly limits?: Partial<TransportLimits>;
  /** For the log. Must not throw. */
  readonly onEvent?: (event: TransportEvent) => void;
}

export type TransportEvent =
  | { readonly e: "up"; readonly peer: NodeId; readonly channel: Channel }
  | { readonly e: "down"; readonly peer: NodeId; readonly channel: Channel; readonly why: string }
  | { readonly e: "refused"; readonly peer: NodeId; readonly channel: Channel; readonly name: string; readonly why: CloseReason }
  | { readonly e: "snapshotFailed"; readonly peer: NodeId; readonly index: number; readonly why: string };

export interface PeerStats extends LineStats {
  readonly id: NodeId;
  readonly address: string;
  /** Since anything came from this peer, a pong included; null before the first time. */
  readonly heardAgoMs: number | null;
}

export interface PeerTransport extends Transport {
  /** Takes over a websocket upgrade on /v1/peer/<channel> whose identity has been believed. */
  upgrade(channel: Channel, request: IncomingMessage, socket: Duplex, head: Buffer, identity: PeerIdentity): void;
  /** The same for a websocket that was opened elsewhere with a maxPayload of frameBytesMax and no deflate. */
  accept(channel: Channel, ws: WebSocket, identity: PeerIdentity): void;
  /** One row per peer of setPeers. */
  stats(): readonly PeerStats[];
  /** Milliseconds since anything came from the member, peer or guest; null before the first time. */
  heardAgoMs(id: NodeId): number | null;
}

/** Members whose last word is remembered: all that can be, and their predecessors. */
const heardMax = 256;

export function makePeerTransport(options: PeerTransportOptions): PeerTransport {
  return new MutualTlsTransport(options);
}

const monotonic = (): number => performance.now();

class MutualTlsTransport implements PeerTransport {
  onRecv: Transport["onRecv"] = () => undefined;
  onUnreachable: Transport["onUnreachable"] = () => undefined;
  onGone: Transport["onGone"] = () => undefined;
  onSnapshot: Transport["onSnapshot"] = () => undefined;
  readonly #o: PeerTransportOptions;
  readonly #limits: TransportLimits;
  readonly #context: LinkContext;
  readonly #inbound: Inbound;
  readonly #receiver: SnapshotReceiver;
  readonly #server: WebSocketServer;
  readonly #cluster: Buffer;
  readonly #lines = new Map<NodeId, PeerLine>();
  readonly #senders = new Map<NodeId, SnapshotSender>();
  readonly #turns: (() => void)[] = [];
  readonly #pacer: Pacer;
  readonly #heard = new Map<NodeId, number>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #touched = new Set<PeerLine>();
  #streaming = 0;
  #streams = 0;
  #sweptAt: number;
  #closed: Promise<void> | null = null;

  constructor(o: PeerTransportOptions) {
    this.#o = o;
    this.#limits = { ...defaultTransportLimits, ...o.limits };
    this.#cluster = clusterMark(o.clusterId);
    const incarnations = new Incarnations({
      silentMs: (id) => this.heardAgoMs(id),
      forgetMs: this.#limits.incarnationForgetMs,
      onOutlived: (id, current) => {
        this.#lines.get(id)?.outlive(current);
        this.#inbound.outlive(id, current);
      },
    });
    const judge: HelloJudge = { cluster: o.clusterId, self: o.self.id, standing: o.standing, incarnations };
    const { id: from, incarnation, build, features } = o.self;
    const hello = { cluster: o.clusterId, from, incarnation, build, features };
    const isRevoked = o.isRevoked ?? (() => false);
    const sockets = new Set<WebSocket>();
    const limits = this.#limits;
    const tls = clientTls(o.tls, { clusterId: o.clusterId, isRevoked });
    const slots = new DialSlots(limits.dialsAtOnce);
    const now = monotonic;
    this.#context = { judge, hello, tls, isRevoked, limits, slots, now, random: Math.random, sockets };
    this.#receiver = new SnapshotReceiver({
      store: o.snapshots,
      backlogMax: limits.snapshotWindow + 2,
      onInstalled: (sender, term, meta) => this.onSnapshot(sender, term, meta),
      onFailed: (peer, meta, why) => o.onEvent?.({ e: "snapshotFailed", peer, index: meta.id.index, why }),
    });
    this.#inbound = new Inbound({
      judge,
      hello,
      limits,
      now,
      sockets,
      removedFrame: (to) => encodeFrames({ cluster: this.#cluster, from, to }, [{ from, to, term: 1, m: { t: "removed" } }])[0]!,
      onMessage: (socket, data, isBinary) => this.#fromInbound(socket, data, isBinary),
      onClosed: (socket) => {
        if (socket.channel === "snapshot") this.#receiver.socketClosed(socket);
      },
      onHeard: (id) => this.#heardFrom(id),
      onRefused: (channel, name, why, peer) => o.onEvent?.({ e: "refused", peer, channel, name, why }),
    });
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      maxPayload: frameBytesMax,
    });
    this.#pacer = new Pacer(limits.snapshotBytesPerSecond);
    this.#sweptAt = now();
    this.#sweeper = setInterval(() => this.#sweep(), limits.pingMs);
  }

  setPeers(peers: readonly Peer[]): void {
    if (this.#closed !== null) return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer.address]));
    for (const [id, line] of this.#lines) {
      if (wanted.get(id) === line.peer.address) continue;
      this.#lines.delete(id);
      line.stop();
      this.#senders.get(id)?.stop();
    }
    for (const peer of peers) {
      if (peer.id !== this.#o.self.id && !this.#lines.has(peer.id)) this.#lines.set(peer.id, this.#line(peer));
    }
  }

  send(batch: readonly Envelope[]): void {
    if (this.#closed !== null) return;
    for (const e of batch) {
      const line = this.#lines.get(e.to);
      if (line === undefined) this.#answerGuest(e);
      else {
        line.stage(e);
        this.#touched.add(line);
      }
    }
    for (const line of this.#touched) line.flush();
    this.#touched.clear();
  }

  async sendSnapshot(to: NodeId, m: SnapMeta, src: SnapshotStore, term: Term): Promise<SnapshotOutcome> {
    const line = this.#lines.get(to);
    if (line === undefined) return "broken";
    if (this.#senders.has(to)) return "refused";
    const sender = new SnapshotSender({
      link: line.snapshot,
      limits: this.#limits,
      pacer: this.#pacer,
      meta: m,
      source: src,
      term,
      nextStream: () => (this.#streams = (this.#streams + 1) % 0xffff_ffff),
    });
    this.#senders.set(to, sender);
    try {
      await this.#turn();
      return this.#lines.get(to) === line ? await sender.run() : "broken";
    } finally {
      this.#senders.delete(to);
      this.#streaming -= 1;
      this.#turns.shift()?.();
    }
  }

  upgrade(channel: Channel, request: IncomingMessage, socket: Duplex, head: Buffer, identity: PeerIdentity): void {
    this.#server.handleUpgrade(request, socket, head, (ws) => this.accept(channel, ws, identity));
  }

  accept(channel: Channel, ws: WebSocket, identity: PeerIdentity): void {
    if (this.#closed === null) this.#inbound.accept(channel, ws, identity);
    else ws.terminate();
  }

  stats(): readonly PeerStats[] {
    const rows: PeerStats[] = [];
    for (const line of this.#lines.values()) {
      rows.push({ id: line.id, address: line.peer.address, heardAgoMs: this.heardAgoMs(line.id), ...line.stats() });
    }
    return rows;
  }

  heardAgoMs(id: NodeId): number | null {
    const at = this.#heard.get(id);
    return at === undefined ? null : this.#context.now() - at;
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#sweeper);
    for (const sender of this.#senders.values()) sender.stop();
    for (const line of this.#lines.values()) line.stop();
    this.#lines.clear();
    this.#server.close();
    const { sockets } = this.#context;
    const gone = [...sockets].map((ws) => new Promise<void>((resolve) => ws.once("close", () => resolve())));
    for (const ws of sockets) ws.terminate();
    await Promise.all(gone);
    await this.#receiver.close();
  }

  #line(peer: Peer): PeerLine {
    const { id } = peer;
    return new PeerLine(this.#context, { cluster: this.#cluster, from: this.#o.self.id }, peer, {
      received: (data) => this.#frame(id, data),
      parting: (data) => this.#parting(id, data),
      heard: () => this.#heardFrom(id),
      unreachable: () => {
        if (this.#closed === null && this.#lines.has(id)) this.onUnreachable(id);
      },
      nobody: () => {
        const heard = this.#inbound.reach(id, "append") ?? this.#inbound.reach(id, "control");
        if (this.#closed === null && this.#lines.has(id) && heard === null) this.onGone(id);
      },
      changed: (channel, up, why) =>
        this.#o.onEvent?.(up ? { e: "up", peer: id, channel } : { e: "down", peer: id, channel, why }),
      snapshotWord: (data) => {
        const word = parseWord(data);
        if (word !== null) this.#senders.get(id)?.word(word);
      },
      snapshotLink: (up) => this.#senders.get(id)?.linkChanged(up),
    });
  }

  #fromInbound(socket: InboundSocket, data: Buffer, isBinary: boolean): void {
    if (this.#closed !== null) return;
    if (socket.channel === "snapshot") return this.#receiver.message(socket, data, isBinary);
    if (!isBinary || !this.#frame(socket.from, data)) socket.close("junk");
  }

  /** False when it is no frame from that member to this one. */
  #frame(from: NodeId, data: Buffer): boolean {
    if (this.#closed !== null) return true;
    const decoded = decodeFrame(data, this.#cluster);
    if (!decoded.ok || decoded.from !== from || decoded.to !== this.#o.self.id) return false;
    this.onRecv(decoded.envelopes);
    return true;
  }

  /** The only thing a member says to one that it will not greet. */
  #parting(from: NodeId, data: Buffer): void {
    const decoded = decodeFrame(data, this.#cluster);
    const removed = decoded.ok && decoded.envelopes.every(({ m }) => m.t === "removed");
    if (removed) this.#frame(from, data);
  }

  /** A member we keep no connection to, because it is newer than our membership, is answered on the one it made. */
  #answerGuest(e: Envelope): void {
    const socket = this.#inbound.reach(e.to, isAppend(e) ? "append" : "control");
    if (socket === null) return;
    for (const frame of encodeFrames({ cluster: this.#cluster, from: this.#o.self.id, to: e.to }, [e])) socket.send(frame);
  }

  #heardFrom(id: NodeId): void {
    this.#heard.set(id, this.#context.now());
    if (this.#heard.size <= heardMax) return;
    for (const [old] of this.#heard) if (!this.#lines.has(old) && old !== id) return void this.#heard.delete(old);
  }

  /** Resolves when this stream may begin; at most a few run at a time, the others in the order they came. */
  #turn(): Promise<void> {
    this.#streaming += 1;
    if (this.#streaming <= this.#limits.snapshotStreams) return Promise.resolve();
    return new Promise((resolve) => this.#turns.push(resolve));
  }

  #sweep(): void {
    const at = this.#context.now();
    // When this process itself was stopped or stalled, the peers' words may lie unread in the kernel: judge next time.
    const judging = at - this.#sweptAt < 2 * this.#limits.pingMs;
    this.#sweptAt = at;
    for (const line of this.#lines.values()) line.sweep(at, judging);
    if (judging) this.#inbound.sweep(at);
  }
}
