/** Things of the fake as the vendor's JSON shows them, with every field that its model requires. */
import { X509Certificate } from "node:crypto";

export interface FakeAction {
  readonly id: number;
  readonly command: string;
  readonly startedAt: number;
  readonly endsAt: number;
  readonly resource: { readonly id: number; readonly type: string };
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface FakeServer {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly image: string;
  readonly location: string;
  readonly createdAt: number;
  readonly userData: string;
  readonly publicNet: boolean;
  readonly networks: readonly number[];
  /** Where its processes really listen, or null where nothing runs. */
  readonly listensAt: string | null;
  labels: Record<string, string>;
  status: string;
  /** What it becomes, and when; "gone" removes it. */
  next: { readonly at: number; readonly status: string }[];
}

export interface FakeBalancer {
  readonly id: number;
  readonly name: string;
  readonly networks: readonly number[];
  targets: { type: "server"; server: { id: number }; use_private_ip: boolean }[];
}

export interface FakeCertificate {
  readonly id: number;
  readonly name: string;
  readonly certificate: string;
  readonly labels: Record<string, string>;
  readonly createdAt: number;
}

const iso = (at: number): string => new Date(at).toISOString();
const address = (id: number, last: number): string => `10.${Math.floor(id / 250) % 250}.${id % 250}.${last}`;

export function actionJson(action: FakeAction, now: number) {
  const isOver = now >= action.endsAt;
  return {
    id: action.id,
    command: action.command,
    status: isOver ? (action.error === null ? "success" : "error") : "running",
    progress: isOver ? 100 : 0,
    started: iso(action.startedAt),
    finished: isOver ? iso(action.endsAt) : null,
    resources: [action.resource],
    error: isOver ? action.error : null,
  };
}

export const locationJson = (name: string) => ({
  id: 1,
  name,
  description: `${name} park`,
  country: "DE",
  city: "Falkenstein",
  latitude: 50.4,
  longitude: 12.3,
  network_zone: "eu-central",
});

export const serverTypeJson = (name: string, locations: readonly string[]) => ({
  id: 22,
  name,
  description: name.toUpperCase(),
  cores: 2,
  memory: 4,
  disk: 40,
  deprecated: false,
  prices: locations.map((location) => ({
    location,
    price_hourly: { net: "0.0060", gross: "0.0071" },
    price_monthly: { net: "3.79", gross: "4.51" },
  })),
  storage_type: "local",
  cpu_type: "shared",
});

export const imageJson = (name: string) => ({
  id: 114_690_387,
  type: "system",
  status: "available",
  name,
  description: name,
  image_size: null,
  disk_size: 5,
  created: iso(0),
  created_from: null,
  bound_to: null,
  os_flavor: "debian",
  os_version: "12",
  rapid_deploy: true,
  protection: { delete: false },
  deprecated: null,
  deleted: null,
  labels: {},
});

export function serverJson(server: FakeServer) {
  const { id, location } = server;
  return {
    id,
    name: server.name,
    status: server.status,
    created: iso(server.createdAt),
    public_net: {
      ipv4: server.publicNet
        ? { id: id + 1, ip: server.listensAt ?? address(id, 1), blocked: false, dns_ptr: "server.example" }
        : null,
      ipv6: server.publicNet ? { id: id + 2, ip: `2001:db8:${id.toString(16)}::/64`, blocked: false, dns_ptr: [] } : null,
      floating_ips: [],
      firewalls: [],
    },
    private_net: server.networks.map((network) => ({
      network,
      ip: server.listensAt ?? address(id, 2),
      alias_ips: [],
      mac_address: "86:00:ff:2a:7d:e1",
    })),
    server_type: serverTypeJson(server.type, [location]),
    datacenter: {
      id: 1,
      name: `${location}-dc8`,
      description: `${location} 8`,
      location: locationJson(location),
      server_types: { supported: [22], available: [22], available_for_migration: [22] },
    },
    image: imageJson(server.image),
    iso: null,
    rescue_enabled: false,
    locked: false,
    backup_window: null,
    outgoing_traffic: null,
    ingoing_traffic: null,
    included_traffic: 21_990_232_555_520,
    protection: { delete: false, rebuild: false },
    labels: server.labels,
    volumes: [],
    load_balancers: [],
    primary_disk_size: 40,
    placement_group: null,
  };
}

export const balancerJson = (balancer: FakeBalancer, healthOf: (server: number) => string) => ({
  id: balancer.id,
  name: balancer.name,
  public_net: {
    enabled: true,
    ipv4: { ip: "192.0.2.1", dns_ptr: "lb.example" },
    ipv6: { ip: "2001:db8::1", dns_ptr: "lb.example" },
  },
  private_net: balancer.networks.map((network) => ({ network, ip: "10.0.0.9" })),
  location: locationJson("fsn1"),
  load_balancer_type: {
    id: 1,
    name: "lb11",
    description: "LB11",
    max_connections: 20_000,
    max_services: 5,
    max_targets: 25,
    max_assigned_certificates: 10,
    deprecated: null,
    prices: [],
  },
  protection: { delete: false },
  labels: {},
  created: iso(0),
  services: [],
  targets: balancer.targets.map((target) => ({
    ...target,
    health_status: [{ listen_port: 443, status: healthOf(target.server.id) }],
  })),
  algorithm: { type: "round_robin" },
  outgoing_traffic: null,
  ingoing_traffic: null,
  included_traffic: 10_000,
});

/** Of what is a certificate; some tests give it less. */
function domainsOf(pem: string): readonly string[] {
  try {
    return new X509Certificate(pem).subjectAltName?.split(", ").map((name) => name.replace("DNS:", "")) ?? [];
  } catch {
    return ["api.example.com"];
  }
}

export const certificateJson = (certificate: FakeCertificate) => ({
  id: certificate.id,
  name: certificate.name,
  labels: certificate.labels,
  type: "uploaded",
  certificate: certificate.certificate,
  created: iso(certificate.createdAt),
  not_valid_before: iso(certificate.createdAt),
  not_valid_after: iso(certificate.createdAt + 90 * 86_400_000),
  domain_names: domainsOf(certificate.certificate),
  fingerprint: "03:c7:55:9b:2a:d1:04:17:09:f6:d0:7f:18:34:63:d4:3e:5f",
  status: null,
  used_by: [],
});
