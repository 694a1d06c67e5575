/** Real transports behind real TLS servers on 127.0.0.1, and a relay that can cut them, for tests. */
import type { Envelope, NodeId, SnapMeta } from "@aether/raft/types";
import { makeMemorySnapshots, type MemorySnapshots } from "@aether/raft/driver/testing/memory-snapshots";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { deriveCa, type ClusterCa } from "../../identity/cluster-ca.ts";
import { guardServer, identityOf } from "../../identity/guard.ts";
import { serverTls, type TlsMaterial } from "../../identity/tls.ts";
import { channels, type Standing } from "../handshake.ts";
import type { TransportLimits } from "../limits.ts";
import { makePeerTransport, type PeerTransport, type TransportEvent } from "../peer-transport.ts";

export const clusterId = "a".repeat(32);

export interface LabMember {
  readonly id: NodeId;
  readonly transport: PeerTransport;
  readonly address: string;
  readonly port: number;
  readonly snapshots: MemorySnapshots;
  readonly received: Envelope[];
  readonly unreachable: NodeId[];
  readonly gone: NodeId[];
  readonly installed: { readonly from: NodeId; readonly term: number; readonly meta: SnapMeta }[];
  readonly events: TransportEvent[];
  /** Stops listening and drops all connections, as a dead process would. */
  kill(): Promise<void>;
}

export interface LabStart {
  readonly id: NodeId;
  readonly incarnation?: number;
  readonly port?: number;
  readonly limits?: Partial<TransportLimits>;
  readonly standing?: (id: NodeId, name: string) => Standing;
  readonly snapshots?: MemorySnapshots;
}

export interface Relay {
  readonly address: string;
  /** Cuts every connection once this many more bytes have come from clients. */
  cutAfter(bytes: number): void;
  readonly cuts: () => number;
  /** Holds back everything from now on, both ways, without closing anything: a dead switch, a stopped process. */
  freeze(): void;
}

export interface Lab {
  /** Run by {@link tearDown}, last first. */
  readonly cleanup: (() => Promise<unknown>)[];
  readonly material: (name: string, role?: "member" | "viewer", cluster?: string) => Promise<TlsMaterial>;
  readonly start: (o: LabStart) => Promise<LabMember>;
  /** Introduces all to each other and waits until they are connected. */
  readonly meet: (...members: LabMember[]) => Promise<void>;
  readonly startRelay: (toPort: number) => Promise<Relay>;
  readonly tearDown: () => Promise<void>;
}

export function makeLab(): Lab {
  const cleanup: (() => Promise<unknown>)[] = [];
  let ca: Promise<ClusterCa> | null = null;
  const material = async (name: string, role: "member" | "viewer" = "member", cluster = clusterId): Promise<TlsMaterial> => {
    ca ??= deriveCa("the cluster secret", "prod");
    const authority = await ca;
    return { ca: authority.certificate, ...(await authority.issue({ clusterId: cluster, role, name, hosts: [], days: 1 })) };
  };
  return {
    cleanup,
    material,
    start: async (o) => {
      const member = await startMember(o, await material(`n${o.id}`));
      cleanup.push(() => member.kill());
      return member;
    },
    meet: async (...members) => {
      introduce(...members);
      await until("all connected", () => members.every((m) => members.every((o) => o === m || isOpen(m, o.id))));
    },
    startRelay: (toPort) => openRelay(toPort, cleanup),
    tearDown: async () => {
      for (const step of cleanup.splice(0).toReversed()) await step();
    },
  };
}

/** Tells every member of every other. */
export function introduce(...members: readonly LabMember[]): void {
  for (const m of members) m.transport.setPeers(members.filter((o) => o !== m).map(({ id, address }) => ({ id, address })));
}

export async function until(what: string, condition: () => boolean, withinMs = 8_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** All three connections from `m` to member `to` are open. */
export const isOpen = (m: Pick<LabMember, "transport">, to: NodeId): boolean =>
  m.transport.stats().some((s) => s.id === to && s.open.append && s.open.control && s.open.snapshot);

async function startMember(o: LabStart, tls: TlsMaterial): Promise<LabMember> {
  const snapshots = o.snapshots ?? makeMemorySnapshots();
  const heard = {
    received: [] as Envelope[],
    unreachable: [] as NodeId[],
    gone: [] as NodeId[],
    installed: [] as LabMember["installed"][number][],
  };
  const events: TransportEvent[] = [];
  const transport = makePeerTransport({
    clusterId,
    self: { id: o.id, incarnation: o.incarnation ?? 1, build: "test", features: [] },
    tls,
    snapshots,
    standing: o.standing ?? (() => "welcome"),
    limits: o.limits ?? {},
    onEvent: (e) => events.push(e),
  });
  transport.onRecv = (batch) => void heard.received.push(...batch);
  transport.onUnreachable = (to) => void heard.unreachable.push(to);
  transport.onGone = (id) => void heard.gone.push(id);
  transport.onSnapshot = (from, term, meta) => void heard.installed.push({ from, term, meta });
  const server = await listen(tls, transport, o.port ?? 0);
  const { port } = server.address() as AddressInfo;
  let killed: Promise<unknown> | null = null;
  const kill = async (): Promise<void> => {
    await transport.close();
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return {
    id: o.id,
    transport,
    address: `127.0.0.1:${port}`,
    port,
    snapshots,
    events,
    ...heard,
    kill: async () => {
      killed ??= kill();
      await killed;
    },
  };
}

async function listen(tls: TlsMaterial, transport: PeerTransport, port: number): Promise<Server> {
  const server = createServer(serverTls(tls));
  guardServer(server, { clusterId, isRevoked: () => false, onRefused: () => undefined });
  server.on("upgrade", (request, socket, head) => {
    const channel = channels.find((c) => request.url === `/v1/peer/${c}`);
    if (channel === undefined) socket.destroy();
    else transport.upgrade(channel, request, socket, head, identityOf(request.socket));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function openRelay(toPort: number, cleanup: Lab["cleanup"]): Promise<Relay> {
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  let cuts = 0;
  const tie = (one: Socket, other: Socket): void => {
    sockets.add(one);
    one.on("error", () => other.destroy());
    one.on("close", () => {
      sockets.delete(one);
      other.destroy();
    });
  };
  const relay = createTcpServer((client) => {
    const server = connect(toPort, "127.0.0.1");
    tie(client, server);
    tie(server, client);
    server.pipe(client);
    client.on("data", (data: Buffer) => {
      left -= data.length;
      if (left > 0) {
        server.write(data);
        return;
      }
      left = Number.POSITIVE_INFINITY;
      cuts += 1;
      for (const socket of sockets) socket.destroy();
    });
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  cleanup.push(async () => {
    for (const socket of sockets) socket.destroy();
    relay.close();
    await once(relay, "close");
  });
  return {
    address: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    cutAfter: (bytes) => {
      left = bytes;
    },
    cuts: () => cuts,
    freeze: () => {
      for (const socket of sockets) socket.pause();
    },
  };
}
