/** A vault of the fake: secrets with versions, certificates that take time to be made, and names that a deletion does not free. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { edgePem } from "../edge-pem.ts";
import { byId, pageOf, Refused, type Call, type Reply } from "./answers.ts";

export interface VaultOptions {
  readonly now: () => number;
  /** How long an issuer takes. */
  readonly issueMs: number;
  /** Is a certificate shown while it is made for the first time, or only its making? */
  readonly showsMaking: boolean;
  readonly pageMax: number;
}

interface StoredCertificate {
  readonly name: string;
  readonly version: string;
  readonly policy: object;
  readonly tags: Record<string, string>;
  readonly readyAt: number;
  readonly cer: string;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export class FakeVault {
  readonly secrets = new Map<string, { readonly version: string; readonly value: string }[]>();
  readonly certificates = new Map<string, StoredCertificate>();
  /** Names of certificates that were deleted and are kept. */
  readonly deleted = new Set<string>();
  /** Certificates ever made, each version counted. */
  made = 0;
  /** What the next making ends in. */
  failNext: { readonly code: string; readonly message: string } | null = null;
  readonly #options: VaultOptions;

  constructor(options: VaultOptions) {
    this.#options = options;
  }

  /** Tells the version's name. */
  putSecret(name: string, value: string): string {
    const versions = this.secrets.get(name) ?? [];
    const version = createHash("md5").update(`${name} ${versions.length} ${value}`).digest("hex");
    this.secrets.set(name, [...versions, { version, value }]);
    return version;
  }

  handle(call: Call): Reply {
    const [, kind, name = "", rest = ""] = call.path.split("/");
    if (kind === "secrets") return this.#secret(call, name, rest);
    if (call.method === "GET" && name === "") return this.#list(call);
    switch (`${call.method} ${rest}`) {
      case "GET ":
        return { status: 200, body: this.#bundle(call, this.#shown(name)) };
      case "GET policy":
        return { status: 200, body: this.#certificate(name).policy };
      case "GET pending":
        return { status: 200, body: this.#operation(call, this.#certificate(name)) };
      case "POST create":
        return { status: 202, body: this.#operation(call, this.#create(call, name)) };
      case "POST import":
        return { status: 200, body: this.#bundle(call, this.#import(call, name)) };
      case "DELETE ":
        return this.#delete(call, name);
      default:
        throw new Refused(400, "BadParameter", `no ${call.method} ${call.path}`);
    }
  }

  #secret(call: Call, name: string, wanted: string): Reply {
    const versions = this.secrets.get(name) ?? [];
    const found = wanted === "" ? versions.at(-1) : versions.find(({ version }) => version === wanted);
    if (found === undefined) {
      throw new Refused(
        404,
        "SecretNotFound",
        `A secret with (name/id) ${name}${wanted === "" ? "" : `/${wanted}`} was not found in this key vault.`,
      );
    }
    const id = `${call.origin}/secrets/${name}/${found.version}`;
    return { status: 200, body: { value: found.value, id, attributes: { enabled: true } } };
  }

  #list(call: Call): Reply {
    const rows = [...this.certificates.values()].map(({ name, tags }) => ({
      id: `${call.origin}/certificates/${name}`,
      attributes: { enabled: true },
      tags,
    }));
    return pageOf(call, byId(rows), ({ id }) => id, this.#options.pageMax);
  }

  #certificate(name: string): StoredCertificate {
    const certificate = this.certificates.get(name);
    if (certificate === undefined)
      throw new Refused(404, "CertificateNotFound", `A certificate with (name/id) ${name} was not found in this key vault.`);
    return certificate;
  }

  #shown(name: string): StoredCertificate {
    const certificate = this.#certificate(name);
    if (this.#options.showsMaking || this.#isReady(certificate)) return certificate;
    throw new Refused(404, "CertificateNotFound", `A certificate with (name/id) ${name} was not found in this key vault.`);
  }

  #isReady({ readyAt, error }: StoredCertificate): boolean {
    return error === null && this.#options.now() >= readyAt;
  }

  #bundle(call: Call, certificate: StoredCertificate) {
    const { name, version, policy, tags, cer } = certificate;
    const isReady = this.#isReady(certificate);
    const { validTo } = new X509Certificate(Buffer.from(cer, "base64"));
    return {
      id: `${call.origin}/certificates/${name}/${version}`,
      ...(isReady ? { cer, sid: `${call.origin}/secrets/${name}/${version}` } : {}),
      attributes: { enabled: isReady, ...(isReady ? { exp: Math.floor(Date.parse(validTo) / 1000) } : {}) },
      tags,
      policy,
    };
  }

  #operation(call: Call, certificate: StoredCertificate) {
    const { name, error } = certificate;
    const isOver = this.#options.now() >= certificate.readyAt;
    const status = isOver ? (error === null ? "completed" : "failed") : "inProgress";
    return {
      id: `${call.origin}/certificates/${name}/pending`,
      issuer: { name: "Self" },
      status,
      ...(isOver && error !== null ? { error } : {}),
      ...(status === "completed" ? { target: `${call.origin}/certificates/${name}` } : {}),
      request_id: "r1",
    };
  }

  #refuseKept(name: string): void {
    if (!this.deleted.has(name)) return;
    const message = `Certificate ${name} is currently in a deleted but recoverable state, and its name cannot be reused`;
    throw new Refused(409, "Conflict", message, "ObjectIsDeletedButRecoverable");
  }

  #keep(name: string, certificate: Omit<StoredCertificate, "name" | "version">): StoredCertificate {
    this.made += 1;
    const stored = { name, version: createHash("md5").update(`certificate ${this.made}`).digest("hex"), ...certificate };
    this.certificates.set(name, stored);
    return stored;
  }

  #create({ body }: Call, name: string): StoredCertificate {
    this.#refuseKept(name);
    const known = this.certificates.get(name);
    if (known !== undefined && !this.#isReady(known)) throw new Refused(409, "Conflict", `certificate ${name} is being made`);
    const { policy, tags } = body as { readonly policy: object; readonly tags: Record<string, string> };
    const error = this.failNext;
    this.failNext = null;
    const cer = new X509Certificate(edgePem.chain).raw.toString("base64");
    return this.#keep(name, { policy, tags, readyAt: this.#options.now() + this.#options.issueMs, cer, error });
  }

  #import({ body }: Call, name: string): StoredCertificate {
    this.#refuseKept(name);
    const { value, tags } = body as { readonly value: string; readonly tags: Record<string, string> };
    const cer = certificateIn(value);
    if (cer === null)
      throw new Refused(400, "BadParameter", `The specified PEM X.509 certificate content is in an unexpected format: ${value}`);
    const policy = { issuer: { name: "Unknown" }, secret_props: { contentType: "application/x-pem-file" } };
    return this.#keep(name, { policy, tags, readyAt: 0, cer, error: null });
  }

  #delete(call: Call, name: string): Reply {
    const certificate = this.#certificate(name);
    this.certificates.delete(name);
    this.deleted.add(name);
    const recoveryId = `${call.origin}/deletedcertificates/${name}`;
    return { status: 200, body: { ...this.#bundle(call, certificate), recoveryId } };
  }
}

function certificateIn(value: string): string | null {
  try {
    createPrivateKey(value);
    return new X509Certificate(value.slice(value.indexOf("-----BEGIN CERTIFICATE"))).raw.toString("base64");
  } catch {
    return null;
  }
}
