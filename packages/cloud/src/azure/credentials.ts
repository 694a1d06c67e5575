/**
 * Who asks: where the vendor's own libraries look, in their order. A service principal by secret or certificate, then a workload
 * identity, and when none of them is set, the identity of the machine that this runs on. The Azure CLI's login is not read.
 */
import { make as redact, type Redacted } from "effect/Redacted";
import { fault } from "./failure.ts";

type Env = Readonly<Record<string, string | undefined>>;

interface Principal {
  /** The directory, by its GUID or a domain of it. */
  readonly tenant: string;
  /** The application's id. */
  readonly client: string;
}

export type AzureCredentials =
  | ({ readonly kind: "secret"; readonly secret: Redacted } & Principal)
  /** A PEM file with the certificate and its private key, read anew for each token, for it may be renewed. */
  | ({ readonly kind: "certificate"; readonly path: string; readonly password: Redacted | null } & Principal)
  /** A file with a token of another issuer that the directory trusts, as Kubernetes mounts it. */
  | ({ readonly kind: "workload"; readonly path: string } & Principal)
  /** What the machine was given. `client` tells one of several user-assigned identities. */
  | { readonly kind: "managed"; readonly client: string | null };

/** Throws a CloudFailure Invalid when the variables say only a part of what they must. */
export function azureCredentialsFrom(env: Env): AzureCredentials {
  const of = (name: string): string => env[name] ?? "";
  const principal = { tenant: of("AZURE_TENANT_ID"), client: of("AZURE_CLIENT_ID") };
  const way = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"].find(
    (name) => of(name) !== "",
  );
  if (way === undefined) return { kind: "managed", client: principal.client === "" ? null : principal.client };
  if (principal.tenant === "" || principal.client === "") {
    const message = `${way} is set, and AZURE_TENANT_ID and AZURE_CLIENT_ID must be set with it`;
    throw fault({ _tag: "Invalid", op: "read credentials", message });
  }
  const wrong = Object.values(principal).find((text) => !/^[A-Za-z0-9.-]{1,253}$/.test(text));
  if (wrong !== undefined) {
    throw fault({ _tag: "Invalid", op: "read credentials", message: `${JSON.stringify(wrong)} is no id of a tenant or client` });
  }
  if (way === "AZURE_CLIENT_SECRET") return { kind: "secret", ...principal, secret: redact(of(way)) };
  if (way === "AZURE_FEDERATED_TOKEN_FILE") return { kind: "workload", ...principal, path: of(way) };
  const password = of("AZURE_CLIENT_CERTIFICATE_PASSWORD");
  return { kind: "certificate", ...principal, path: of(way), password: password === "" ? null : redact(password) };
}

/** AZURE_SUBSCRIPTION_ID, or null. */
export const azureSubscriptionFrom = (env: Env): string | null => env["AZURE_SUBSCRIPTION_ID"] || null;
