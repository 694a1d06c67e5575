/** A server of Hetzner's as an instance of ours. */
import { bookKeys, withoutBook } from "../derivation.ts";
import { carries, clusterLabels, labelKeys } from "../labels.ts";
import type { Instance, InstanceId, InstanceState } from "../provider.ts";
import type { Server } from "./shapes.ts";

/** A new server may show "off" before it starts for the first time. Only after this does off mean that it ended. */
export const bootMs = 60_000;

export function describeServer(server: Server, now: number): Instance {
  const { ipv4, ipv6 } = server.public_net;
  const privateIps = server.private_net.flatMap(({ ip }) => (ip === undefined || ip === "" ? [] : [ip]));
  const publicIps = [...(ipv4 === null ? [] : [ipv4.ip]), ...(ipv6 === null ? [] : [firstAddress(ipv6.ip)])];
  const host = [...privateIps, ...publicIps][0];
  const port = server.labels[bookKeys.port];
  const createdAt = Date.parse(server.created);
  const zone = server.location?.name ?? server.datacenter?.location.name;
  return {
    id: String(server.id) as InstanceId,
    name: server.labels[labelKeys.node] ?? server.name,
    state: stateOf(server, now - createdAt),
    rawState: server.status,
    address: host === undefined || port === undefined ? "" : `${host.includes(":") ? `[${host}]` : host}:${port}`,
    labels: withoutBook(server.labels),
    createdAt,
    ...(zone === undefined ? {} : { zone }),
    privateIps,
    publicIps,
    facts: { server: server.id, hostname: server.name, size: server.server_type.name },
  };
}

function stateOf(server: Server, ageMs: number): InstanceState {
  const isStopped = server.labels[bookKeys.power] === "off";
  switch (server.status) {
    case "running":
      return isStopped ? "stopping" : "running";
    case "off":
      if (isStopped) return "stopped";
      return ageMs < bootMs ? "pending" : "failed";
    case "stopping":
      return "stopping";
    case "deleting":
      return "deleting";
    default:
      // initializing, starting, rebuilding, migrating; and "unknown" or a new word, which are no evidence that it is gone.
      return "pending";
  }
}

/** The vendor gives an IPv6 network, of which the server has the first address. */
const firstAddress = (network: string): string => network.replace(/::\/64$/, "::1");

/** Is it a server that Aether made for this cluster? */
export const isOf = (server: Server, cluster: string): boolean => carries(server.labels, clusterLabels(cluster));

/** Ids are numbers of the vendor's, never given twice. Null for what cannot be one. */
export const serverId = (id: InstanceId): number | null => (/^[1-9]\d{0,14}$/.test(id) ? Number(id) : null);
