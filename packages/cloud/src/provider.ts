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

/** Where a failure came from. `code` is the provider's own word for it (an errno for the local one). */
export interface CloudErrorContext {
  readonly provider: ProviderName;
  /** The call and its subject, "ensure n2". */
  readonly op: string;
  readonly code?: string;
  readonly message: string;
}

export type CloudError =
  /** Time, a reset, a 5xx. With maybeApplied the caller must look before it tries a create again. */
  | ({ readonly _tag: "Transient"; readonly maybeApplied: boolean } & CloudErrorContext)
  /** exists: the name is taken by something else; busy: another operation runs; stale: it changed since it was read. */
  | ({ readonly _tag: "Conflict"; readonly kind: "exists" | "busy" | "stale" } & CloudErrorContext)
  /** eventual: we made it moments ago and the provider may not show it yet. */
  | ({ readonly _tag: "NotFound"; readonly eventual: boolean } & CloudErrorContext)
  /** No room: no free port, a full disk, no machine of that size. */
  | ({ readonly _tag: "Capacity" } & CloudErrorContext)
  | ({ readonly _tag: "Auth"; readonly kind: "unauthenticated" | "forbidden" } & CloudErrorContext)
  | ({ readonly _tag: "Invalid" } & CloudErrorContext)
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
  /** Where the daemon answers, "host:port". */
  readonly address: string;
  readonly labels: Labels;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Facts that only this provider has, for people and programs: the local one gives pid, dataDir, log. */
  readonly facts: Readonly<Record<string, string | number>>;
}

export interface InstanceSpec {
  readonly key: OpKey;
  readonly name: string;
  /** "host:port" for the daemon; the local provider takes only a loopback address. */
  readonly address: string;
  /** Ride in the create call itself: an instance without labels could never be found again. */
  readonly labels: Labels;
  /** The daemon's configuration (JSON). No secret belongs in it. */
  readonly userData: Redacted;
}

export type PowerAction = "start" | "stop-graceful" | "stop-hard" | "reboot";

export interface Compute {
  /** The same key twice gives the same instance. Resolves when the provider has accepted it, not when it runs. */
  readonly ensure: (spec: InstanceSpec) => Effect<{ readonly instance: Instance; readonly created: boolean }, CloudError>;
  /** NotFound after delete. */
  readonly get: (id: InstanceId) => Effect<Instance, CloudError>;
  /** All that carry every given label, sorted by name; fails rather than answer with a part. An empty selector is Invalid. */
  readonly list: (selector: Labels) => Effect<readonly Instance[], CloudError>;
  /** Ends it and removes its data; resolves when nothing of it is left. */
  readonly delete: (id: InstanceId) => Effect<"deleted" | "absent", CloudError>;
  /** Resolves when the action is done. stop-graceful that is not obeyed in time is a Deadline; it never turns hard by itself. */
  readonly power: (id: InstanceId, action: PowerAction) => Effect<void, CloudError>;
  readonly awaitState: (id: InstanceId, want: readonly InstanceState[], within: Duration) => Effect<Instance, CloudError>;
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

export interface PreflightCheck {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface CloudProvider {
  readonly name: ProviderName;
  readonly compute: Compute;
  readonly discovery: Discovery;
  /** Could instances be made here, as far as one can tell without making any. */
  readonly preflight: Effect<readonly PreflightCheck[], CloudError>;
}
