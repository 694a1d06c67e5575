/** The fake's secrets and certificates. */
import { X509Certificate } from "node:crypto";
import { crc32c } from "../../gcp/crc32c.ts";
import { Refused, type Call, type Reply } from "./refused.ts";

interface FakeCertificate {
  readonly labels: Readonly<Record<string, string>>;
  readonly chain: string;
  readonly managed: { readonly domains: readonly string[]; readonly dnsAuthorizations: readonly string[] } | null;
  readonly createdAt: number;
  isValid: boolean;
}

const missing = (name: string): Refused => new Refused(404, "NOT_FOUND", `Resource '${name}' was not found`);
const parent = "projects/fleet-production/locations/global";

export class FakeEdge {
  /** By name, the oldest version first. */
  readonly secrets = new Map<string, string[]>();
  readonly certificates = new Map<string, FakeCertificate>();
  readonly authorizations = new Map<string, { readonly domain: string; readonly labels: Readonly<Record<string, string>> }>();
  /** The next secret is read with another checksum. */
  breakNextSecret = false;
  readonly #operations = new Map<string, number>();
  readonly #now: () => number;
  readonly #operationMs: number;

  constructor(now: () => number, operationMs: number) {
    [this.#now, this.#operationMs] = [now, operationMs];
  }

  /** Null for what is not of these services. */
  reply(call: Call): Reply | null {
    const { method, path } = call;
    const secret = /^\/v1\/projects\/[^/]+\/secrets\/([\w-]+)\/versions\/([\w-]+):access$/.exec(path);
    if (secret !== null) return this.#access(secret[1] ?? "", secret[2] ?? "");
    const [, kind, id] = /^\/v1\/projects\/[^/]+\/locations\/global\/(\w+)(?:\/([\w.-]+))?$/.exec(path) ?? [];
    switch (`${method} ${kind ?? ""}${id === undefined ? "" : "/id"}`) {
      case "GET operations/id":
        return this.#operation(id ?? "");
      case "GET certificates":
        return this.#list(call.query);
      case "POST certificates":
        return this.#create(call);
      case "POST dnsAuthorizations":
        return this.#authorize(call);
      case "GET certificates/id":
        return [200, this.#certificateJson(id ?? "")];
      case "GET dnsAuthorizations/id":
        return [200, this.#authorizationJson(id ?? "")];
      case "DELETE certificates/id":
        if (!this.certificates.delete(id ?? "")) throw missing(path);
        return this.#begin();
      case "DELETE dnsAuthorizations/id": {
        const isUsed = [...this.certificates.values()].some((one) =>
          one.managed?.dnsAuthorizations.includes(`${parent}/dnsAuthorizations/${id ?? ""}`),
        );
        if (isUsed) throw new Refused(400, "FAILED_PRECONDITION", "the authorization is used by a certificate");
        if (!this.authorizations.delete(id ?? "")) throw missing(path);
        return this.#begin();
      }
      default:
        return null;
    }
  }

  put(path: string, text: string): string {
    const name = path.replaceAll(/[/.]/g, "-");
    const versions = [...(this.secrets.get(name) ?? []), text];
    this.secrets.set(name, versions);
    return String(versions.length);
  }

  validate(id: string): void {
    const one = this.certificates.get(id);
    if (one === undefined) throw missing(id);
    one.isValid = true;
  }

  #access(name: string, version: string): Reply {
    const versions = this.secrets.get(name) ?? [];
    const at = version === "latest" ? versions.length : Number(version);
    const text = versions[at - 1];
    if (text === undefined)
      throw new Refused(404, "NOT_FOUND", `Secret [projects/1/secrets/${name}] not found or has no versions.`);
    const data = Buffer.from(text);
    const dataCrc32c = String((crc32c(data) + (this.breakNextSecret ? 1 : 0)) >>> 0);
    this.breakNextSecret = false;
    return [200, { name: `projects/1/secrets/${name}/versions/${at}`, payload: { data: data.toString("base64"), dataCrc32c } }];
  }

  #begin(): Reply {
    const id = `operation-${this.#operations.size + 1}`;
    this.#operations.set(id, this.#now() + this.#operationMs);
    return this.#operation(id);
  }

  #operation(id: string): Reply {
    const until = this.#operations.get(id);
    if (until === undefined) throw missing(id);
    const isDone = this.#now() >= until;
    return [200, { name: `${parent}/operations/${id}`, done: isDone, ...(isDone ? { response: {} } : {}) }];
  }

  #create({ query, body }: Call): Reply {
    const id = query.get("certificateId") ?? "";
    if (this.certificates.has(id)) throw new Refused(409, "ALREADY_EXISTS", `Resource '${id}' already exists`);
    const own = body["selfManaged"] as { readonly pemCertificate: string; readonly pemPrivateKey: string } | undefined;
    // Some of the vendor's refusals repeat what they were sent.
    if (own !== undefined && !own.pemPrivateKey.includes("BEGIN PRIVATE KEY")) {
      throw new Refused(400, "INVALID_ARGUMENT", `The private key could not be parsed: ${own.pemPrivateKey}`);
    }
    const managed = body["managed"] as FakeCertificate["managed"] | undefined;
    const unknown = managed?.dnsAuthorizations.find((name) => !this.authorizations.has(name.slice(name.lastIndexOf("/") + 1)));
    if (unknown !== undefined) throw new Refused(400, "INVALID_ARGUMENT", `there is no ${unknown}`);
    this.certificates.set(id, {
      labels: body["labels"] as Record<string, string>,
      chain: own?.pemCertificate ?? "",
      managed: managed ?? null,
      createdAt: this.#now(),
      isValid: false,
    });
    return this.#begin();
  }

  #authorize({ query, body }: Call): Reply {
    const id = query.get("dnsAuthorizationId") ?? "";
    if (this.authorizations.has(id)) throw new Refused(409, "ALREADY_EXISTS", `Resource '${id}' already exists`);
    this.authorizations.set(id, { domain: String(body["domain"]), labels: body["labels"] as Record<string, string> });
    return this.#begin();
  }

  #list(query: URLSearchParams): Reply {
    const wanted = [...(query.get("filter") ?? "").matchAll(/labels\.([\w-]+)="([\w-]+)"/g)];
    const ids = [...this.certificates.keys()]
      .filter((id) => wanted.every(([, key = "", value]) => this.certificates.get(id)?.labels[key] === value))
      .toSorted();
    const from = Number(query.get("pageToken") ?? "0");
    // Small pages, whatever was asked for.
    const next = from + 1;
    return [
      200,
      {
        certificates: ids.slice(from, next).map((id) => this.#certificateJson(id)),
        ...(next < ids.length ? { nextPageToken: String(next) } : {}),
      },
    ];
  }

  #certificateJson(id: string) {
    const one = this.certificates.get(id);
    if (one === undefined) throw missing(id);
    const { labels, managed, chain, createdAt } = one;
    const common = { name: `${parent}/certificates/${id}`, labels, createTime: new Date(createdAt).toISOString() };
    if (managed !== null) {
      const state = one.isValid ? "ACTIVE" : "PROVISIONING";
      return { ...common, sanDnsnames: managed.domains, managed: { ...managed, state } };
    }
    const leaf = new X509Certificate(chain);
    const names = (leaf.subjectAltName ?? "").split(", ").map((name) => name.replace(/^DNS:/, ""));
    return { ...common, pemCertificate: chain, sanDnsnames: names, expireTime: leaf.validToDate.toISOString(), selfManaged: {} };
  }

  #authorizationJson(id: string) {
    const one = this.authorizations.get(id);
    if (one === undefined) throw missing(id);
    const data = `${id}.authorize.certificatemanager.goog.`;
    return {
      name: `${parent}/dnsAuthorizations/${id}`,
      domain: one.domain,
      labels: one.labels,
      dnsResourceRecord: { name: `_acme-challenge.${one.domain}.`, type: "CNAME", data },
    };
  }
}
