/** What the Azure provider is told and given. */
import type { Clock, Random } from "../http/clock.ts";
import type { RateLimiter, RateLimits } from "../http/rate-limiter.ts";
import type { RetryPolicy } from "../http/retry.ts";
import type { Transport } from "../http/transport.ts";
import type { MachineSpec } from "../provider.ts";
import type { AzureCredentials } from "./credentials.ts";

/** What preflight looks for. */
export type WantedMachine = Pick<MachineSpec, "size" | "image" | "zone" | "networks">;

export interface AzureOptions {
  readonly cluster: string;
  /** The vendor's location, "westeurope". */
  readonly region: string;
  /** A GUID. */
  readonly subscription: string;
  /** It exists already; everything is made in it, and names of networks and the like without a slash are looked for in it. */
  readonly resourceGroup: string;
  readonly machine: WantedMachine;
  readonly credentials: AzureCredentials;
  /** The account on each machine that its SSH keys open. */
  readonly adminUser: string;
  /** Of secrets and certificates: "prod-vault" or "prod-vault.vault.azure.net". Without one there are neither. */
  readonly vault: string | null;
  /** Who signs certificates: an issuer that is set up in the vault, or "Self". */
  readonly certificateIssuer?: string;
  /** AETHER_AZURE_ENDPOINT and those of its services (MANAGEMENT, LOGIN, VAULT, METADATA); the program's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface AzureTimes {
  /** How long something just made may be missing from lists. */
  readonly consistencyMs: number;
  /** Between two looks at something that is changing, where the vendor names no time. */
  readonly pollMs: number;
  /** How long `ensure` may look for what it does not know to have made, and wait for a predecessor's deletion. */
  readonly ensureMs: number;
  /** How long `ensure` waits for the vendor to find a host and to start the machine, so that a lack of room is told as such. */
  readonly acceptMs: number;
  readonly deleteMs: number;
  readonly powerMs: number;
}

export const defaultTimes: AzureTimes = {
  consistencyMs: 10_000,
  pollMs: 5_000,
  ensureMs: 300_000,
  acceptMs: 180_000,
  deleteMs: 600_000,
  powerMs: 600_000,
};

/** What the provider is given of the world outside. */
export interface AzureSeams {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** One for each account in this process: `makeAccountLimits`. */
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  /** The text of a file with a certificate or a token. */
  readonly readText: (path: string) => Promise<string>;
  readonly times?: AzureTimes;
  readonly retry?: RetryPolicy;
}
