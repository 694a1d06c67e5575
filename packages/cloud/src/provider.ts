/**
 * What Aether asks of a place that can hold machines. Each cloud, and this computer, is one {@link CloudProvider}.
 * Every failure is one of {@link CloudError}, classified once by the provider; callers never see a raw HTTP or OS error.
 */
import type { Duration } from "effect/Duration";
import type { Effect } from "effect/Effect";
import type { Redacted } from "effect/Redacted";

export const providerNames = ["local", "hetzner", "aws", "gcp", "azure"] as const;
export type ProviderName = (typeof providerNames)[number];

/** Opaque and scoped to the provider. A recycled name gets a new id, so an id never means another instance than it did. */
export type InstanceId = string & { readonly InstanceId: unique symbol };
export type Labels = Readonly<Record<string, string>>;

/** What makes a create repeatable: the same key is the same instance. A new attempt only after a confirmed failure or delete. */
export interface OpKey {
  readonly cluster: string;
  readonly node: string;
  readonly attempt: number;
}

/** What a provider may be able to do. All have compute and discovery; the others are there or {@link CloudError} Unsupported. */
export const capabilities = ["compute", "discovery", "secrets", "loadBalancers", "certificates"] as const;
export type Capability = (typeof capabilities)[number];

/** Where a failure came from. `code` is the provider's own word for it (an errno for the local one). */
export interface CloudErrorContext {
  readonly provider: ProviderName;
  /** The call and its subject, "ensure n2". */
  readonly op: string;
  readonly code?: string;
  /** The HTTP status and the vendor's name of the request, where there was one: what its support asks for. */
  readonly status?: number;
  readonly requestId?: string;
  readonly message: string;
}

export type CloudError =
  /** Asked too often; nothing was done. retryAfter is the vendor's own wish, where it has one. */
  | ({ readonly _tag: "Throttled"; readonly retryAfter?: Duration } & CloudErrorContext)
  /** Time, a reset, a 5xx. With maybeApplied the caller must look before it tries a create again. */
  | ({ readonly _tag: "Transient"; readonly maybeApplied: boolean } & CloudErrorContext)
  /** exists: the name is taken by something else; busy: another operation runs; stale: it changed since it was read. */
  | ({ readonly _tag: "Conflict"; readonly kind: "exists" | "busy" | "stale" } & CloudErrorContext)
  /** eventual: we made it moments ago and the provider may not show it yet. */
  | ({ readonly _tag: "NotFound"; readonly eventual: boolean } & CloudErrorContext)
  /** The account may not have more of it; a person has to ask the vendor. */
  | ({ readonly _tag: "Quota"; readonly limit?: string } & CloudErrorContext)
  /** No room: no free port, a full disk, no machine of that size. Another zone or size may have some. */
  | ({ readonly _tag: "Capacity"; readonly zone?: string } & CloudErrorContext)
  /** clock: the vendor refuses the signature because the two clocks disagree. */
  | ({ readonly _tag: "Auth"; readonly kind: "unauthenticated" | "forbidden" | "clock" } & CloudErrorContext)
  | ({ readonly _tag: "Invalid" } & CloudErrorContext)
  /** This provider has no such thing. It does not pretend. */
  | ({ readonly _tag: "Unsupported"; readonly capability: Capability } & CloudErrorContext)
  /** A record or an answer did not have the shape it must have. Nothing was guessed from it. */
  | ({ readonly _tag: "Protocol" } & CloudErrorContext)
  | ({ readonly _tag: "Deadline"; readonly waitedFor: Duration } & CloudErrorContext);

export type InstanceState = "pending" | "running" | "stopping" | "stopped" | "deleting" | "failed";

export interface Instance {
  readonly id: InstanceId;
  readonly name: string;
  readonly state: InstanceState;
  /** The provider's own word for the state, for people. */
  readonly rawState: string;
  /** Where the daemon answers, "host:port". Empty while a cloud has not given it an address yet. */
  readonly address: string;
  readonly labels: Labels;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly zone?: string;
  readonly privateIps?: readonly string[];
  readonly publicIps?: readonly string[];
  /** Facts that only this provider has, for people and programs: the local one gives pid, dataDir, log. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** What kind of machine, in the vendor's own words. The local provider has only one kind and needs none. */
export interface MachineSpec {
  readonly size: string;
  readonly image: string;
  /** Where, when the provider's region has several places. */
  readonly zone?: string;
  readonly publicIp: boolean;
  /** Private networks (or the subnet) it is part of. With none its address is the public one. */
  readonly networks: readonly string[];
  readonly firewalls: readonly string[];
  readonly sshKeys: readonly string[];
  readonly placementGroup?: string;
  /** Cheaper, and the vendor may take it away at any time. */
  readonly spot?: boolean;
  /** As whom programs on it may call the vendor: a service account, an instance profile, a managed identity. None when absent. */
  readonly identity?: string;
}

export interface InstanceSpec {
  readonly key: OpKey;
  readonly name: string;
  /** "host:port" for the daemon. The local provider takes only a loopback address; a cloud chooses the host and takes "*:port". */
  readonly address: string;
  /** Needed by every provider but the local one. */
  readonly machine?: MachineSpec;
  /** Ride in the create call itself: an instance without labels could never be found again. */
  readonly labels: Labels;
  /** The daemon's configuration (JSON). No secret belongs in it. */
  readonly userData: Redacted;
}

export type PowerAction = "start" | "stop-graceful" | "stop-hard" | "reboot";

export interface Compute {
  /**
   * The same key twice gives the same instance. Resolves when the provider has accepted it, not when it runs. `created` is false
   * only when it surely was there before.
   */
  readonly ensure: (spec: InstanceSpec) => Effect<{ readonly instance: Instance; readonly created: boolean }, CloudError>;
  /** NotFound after delete. */
  readonly get: (id: InstanceId) => Effect<Instance, CloudError>;
  /** All that carry every given label, sorted by name; fails rather than answer with a part. An empty selector is Invalid. */
  readonly list: (selector: Labels) => Effect<readonly Instance[], CloudError>;
  /** Ends it and removes its data; resolves when nothing of it is left. */
  readonly delete: (id: InstanceId) => Effect<"deleted" | "absent", CloudError>;
  /** Resolves when the action is done. stop-graceful that is not obeyed in time is a Deadline; it never turns hard by itself. */
  readonly power: (id: InstanceId, action: PowerAction) => Effect<void, CloudError>;
  /** Sets and removes labels and leaves the others alone. The labels that say whose an instance is cannot be changed: Invalid. */
  readonly label: (id: InstanceId, patch: LabelPatch) => Effect<Instance, CloudError>;
  readonly awaitState: (id: InstanceId, want: readonly InstanceState[], within: Duration) => Effect<Instance, CloudError>;
}

export interface LabelPatch {
  readonly set?: Labels;
  readonly unset?: readonly string[];
}

export interface Peer {
  readonly node: string;
  readonly address: string;
  readonly instance: InstanceId;
  readonly state: InstanceState;
}

export interface Discovery {
  /** Everything that carries this cluster's labels, running or not, sorted by node. */
  readonly peers: (cluster: string) => Effect<readonly Peer[], CloudError>;
}

/** `${secrets:path@version#field}`, taken apart. `field` is a dotted path into a value that is JSON. */
export interface SecretRef {
  readonly path: string;
  readonly version?: string;
  readonly field?: string;
}

export interface SecretValue {
  readonly value: Redacted;
  readonly version?: string;
}

export interface Secrets {
  readonly resolve: (ref: SecretRef) => Effect<SecretValue, CloudError>;
  /** In the order asked. All or nothing: the failure names every one that is missing. */
  readonly resolveAll: (refs: readonly SecretRef[]) => Effect<readonly SecretValue[], CloudError>;
}

/** draining: it gets no new connections. unknown: the balancer has no verdict yet. */
export type TargetHealth = "healthy" | "unhealthy" | "draining" | "unknown";

export interface LbTarget {
  readonly instance: InstanceId;
  readonly health: TargetHealth;
}

/** Membership in load balancers that exist already, each known by its name. */
export interface LoadBalancers {
  /** emulated: the balancer forgets the target at once, and the drain is the time we then wait. */
  readonly drain: "native" | "emulated";
  /** Instances only; what else a person has put behind the balancer is not shown. */
  readonly targets: (lb: string) => Effect<readonly LbTarget[], CloudError>;
  /** Adds; those that are in already stay. */
  readonly register: (lb: string, instances: readonly InstanceId[]) => Effect<void, CloudError>;
  /** Removes, and resolves when no connection of theirs is waited for any more. */
  readonly deregister: (lb: string, instances: readonly InstanceId[], drain: Duration) => Effect<void, CloudError>;
  /** Makes the members that carry `owner`'s labels exactly `desired`, and leaves every other member alone. */
  readonly reconcile: (
    lb: string,
    owner: Labels,
    desired: readonly InstanceId[],
  ) => Effect<{ readonly added: number; readonly removed: number }, CloudError>;
}

export type CertificateState = "pending" | "ready" | "failed";

export interface ManagedCertificate {
  /** Opaque and scoped to the provider. */
  readonly ref: string;
  readonly name: string;
  readonly domains: readonly string[];
  readonly state: CertificateState;
  /** Unix milliseconds, null while there is none. */
  readonly notAfter: number | null;
  /** What a person must put into the DNS, and leave there for renewals, so that the vendor believes whose the domains are. */
  readonly challenge?: readonly DnsRecord[];
}

export interface DnsRecord {
  /** Fully qualified, without a final dot. */
  readonly name: string;
  readonly type: "CNAME" | "TXT";
  readonly value: string;
}

/** Certificates for the edge: what the provider's load balancers show. Nodes trust the cluster's own CA. */
export interface Certificates {
  /** Has the provider issue one; or the cluster's CA, where the provider cannot and was given it. For other domains its name is a Conflict. */
  readonly ensure: (name: string, domains: readonly string[], labels: Labels) => Effect<ManagedCertificate, CloudError>;
  /** Gives the provider one. The same name and chain twice is the same certificate; another chain is a Conflict. */
  readonly importPem: (
    name: string,
    pem: { readonly chain: string; readonly key: Redacted },
    labels: Labels,
  ) => Effect<ManagedCertificate, CloudError>;
  readonly get: (ref: string) => Effect<ManagedCertificate, CloudError>;
  /** All that carry every given label, sorted by name, for a sweep. An empty selector is Invalid. */
  readonly list?: (selector: Labels) => Effect<readonly ManagedCertificate[], CloudError>;
  readonly delete: (ref: string) => Effect<"deleted" | "absent", CloudError>;
}

export interface PreflightCheck {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface CloudProvider {
  readonly name: ProviderName;
  readonly compute: Compute;
  readonly discovery: Discovery;
  readonly secrets?: Secrets;
  readonly loadBalancers?: LoadBalancers;
  readonly certificates?: Certificates;
  /** Could instances be made here, as far as one can tell without making any. */
  readonly preflight: Effect<readonly PreflightCheck[], CloudError>;
}
