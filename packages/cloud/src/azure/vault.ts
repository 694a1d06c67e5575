/** Key Vault: secrets and certificates, one function for each call that the provider makes. */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { jsonReader } from "../http/json.ts";
import type { Labels } from "../provider.ts";
import { fault } from "./failure.ts";
import { nothing, type Rest } from "./rest.ts";

const version = "7.4";
/** What the vault calls a secret or a certificate. */
export const vaultNameGrammar = /^[0-9A-Za-z-]{1,127}$/;
const versionGrammar = /^[0-9a-f]{32}$/;
/** Of the public cloud. A vault elsewhere is reached by AETHER_AZURE_VAULT_ENDPOINT. */
const vaultSuffix = ".vault.azure.net";

/** "prod-vault" or its full host as https URL; throws a CloudFailure Invalid for any other host: it would be given our token. */
export function vaultUrl(vault: string): string {
  const host = vault.includes(".") ? vault.toLowerCase() : `${vault.toLowerCase()}${vaultSuffix}`;
  const name = host.endsWith(vaultSuffix) ? host.slice(0, -vaultSuffix.length) : "";
  if (/^[a-z][a-z0-9-]{1,22}[a-z0-9]$/.test(name)) return `https://${host}`;
  const message = `${JSON.stringify(vault)} is no vault: its name, or its host below ${vaultSuffix}`;
  throw fault({ _tag: "Invalid", op: "find the vault", message });
}

const optional = Schema.optionalKey;
const Tags = Schema.Record(Schema.String, Schema.String);
const Attributes = Schema.Struct({ enabled: optional(Schema.Boolean), exp: optional(Schema.Number) });
const PolicyShape = Schema.Struct({
  issuer: optional(Schema.Struct({ name: optional(Schema.String) })),
  x509_props: optional(
    Schema.Struct({
      subject: optional(Schema.String),
      sans: optional(Schema.Struct({ dns_names: optional(Schema.Array(Schema.String)) })),
    }),
  ),
});
export type CertificatePolicy = typeof PolicyShape.Type;

const readSecret = jsonReader(Schema.Struct({ value: Schema.String, id: Schema.String }));
const CertificateShape = Schema.Struct({
  id: Schema.String,
  cer: optional(Schema.NullOr(Schema.String)),
  attributes: optional(Attributes),
  tags: optional(Tags),
  policy: optional(PolicyShape),
});
export type VaultCertificate = typeof CertificateShape.Type;
const readCertificate = jsonReader(CertificateShape);
const readPolicy = jsonReader(PolicyShape);
const readOperation = jsonReader(
  Schema.Struct({
    status: optional(Schema.String),
    error: optional(Schema.NullOr(Schema.Struct({ code: optional(Schema.String), message: optional(Schema.String) }))),
  }),
);
const ListedShape = Schema.Struct({ id: Schema.String, tags: optional(Tags) });

export interface NewCertificate {
  readonly domains: readonly string[];
  readonly issuer: string;
  readonly tags: Labels;
}

export interface Vault {
  /** The newest version where none is named. */
  readonly secret: (name: string, version: string | null, signal: AbortSignal) => Promise<{ value: Redacted; version: string }>;
  readonly certificate: (name: string, signal: AbortSignal) => Promise<VaultCertificate>;
  readonly policy: (name: string, signal: AbortSignal) => Promise<CertificatePolicy>;
  /** How the vendor's making of a certificate stands: inProgress, completed, or a word for failure. */
  readonly making: (name: string, signal: AbortSignal) => Promise<string>;
  readonly create: (name: string, wish: NewCertificate, signal: AbortSignal) => Promise<void>;
  readonly importPem: (name: string, chain: string, key: Redacted, tags: Labels, signal: AbortSignal) => Promise<void>;
  readonly delete: (name: string, signal: AbortSignal) => Promise<void>;
  /** Names and tags of all, also of those in the making. */
  readonly certificates: (signal: AbortSignal) => Promise<readonly { readonly name: string; readonly tags: Labels }[]>;
}

export function makeVault(rest: Rest): Vault {
  const read: Rest["read"] = (op, path, _version, reader, signal) => rest.read(op, path, version, reader, signal);
  const post = async (
    op: string,
    path: string,
    body: unknown,
    idempotent: boolean,
    confidential: readonly Redacted[],
    signal: AbortSignal,
  ) => {
    await rest.change({ op, method: "POST", path, version, body, idempotent, confidential, read: nothing }, signal);
  };
  return {
    secret: async (name, wanted, signal) => {
      if (wanted !== null && !versionGrammar.test(wanted)) {
        const message = `${JSON.stringify(wanted)} is no version in a vault, which has 32 hex digits`;
        throw fault({ _tag: "Invalid", op: `read secret ${name}`, message });
      }
      // Without a version the vendor's own clients leave the slash.
      const path = `/secrets/${name}/${encodeURIComponent(wanted ?? "")}`;
      const { value, id } = await read(`read secret ${name}`, path, version, readSecret, signal);
      return { value: redact(value), version: lastPart(id) };
    },
    certificate: (name, signal) => read(`read certificate ${name}`, `/certificates/${name}/`, version, readCertificate, signal),
    policy: (name, signal) => read(`read policy of ${name}`, `/certificates/${name}/policy`, version, readPolicy, signal),
    making: async (name, signal) =>
      (await read(`read making of ${name}`, `/certificates/${name}/pending`, version, readOperation, signal)).status ?? "",
    create: (name, { domains, issuer, tags }, signal) =>
      // Again it would be another version.
      post(
        `create certificate ${name}`,
        `/certificates/${name}/create`,
        { policy: policyFor(domains, issuer), tags },
        false,
        [],
        signal,
      ),
    importPem: (name, chain, key, tags, signal) => {
      const value = redact(`${reveal(key).trim()}\n${chain.trim()}\n`);
      const body = { value: reveal(value), policy: { secret_props: { contentType: pemType } }, tags };
      // Again it is another version with the same content.
      return post(`import certificate ${name}`, `/certificates/${name}/import`, body, true, [key, value], signal);
    },
    delete: async (name, signal) => {
      const call = { op: `delete certificate ${name}`, method: "DELETE", path: `/certificates/${name}`, version } as const;
      await rest.change({ ...call, idempotent: true, read: nothing }, signal);
    },
    certificates: async (signal) => {
      const query = [["includePending", "true"]] as const;
      const listed = await rest.list("list certificates", "/certificates", version, ListedShape, signal, query);
      return listed.map(({ id, tags = {} }) => ({ name: lastPart(id), tags }));
    },
  };
}

const pemType = "application/x-pem-file";
const lastPart = (id: string): string => id.split("/").at(-1) ?? "";

const policyFor = (domains: readonly string[], issuer: string): object => ({
  issuer: { name: issuer },
  x509_props: { subject: `CN=${domains[0] ?? ""}`, sans: { dns_names: domains }, validity_months: 12 },
  key_props: { kty: "RSA", key_size: 2048, exportable: true, reuse_key: false },
  secret_props: { contentType: pemType },
  lifetime_actions: [{ trigger: { lifetime_percentage: 80 }, action: { action_type: "AutoRenew" } }],
});
