/**
 * Certificates in Certificate Manager, for what stands on a load balancer: issued by Google after a DNS record has shown whose the
 * domains are, or uploaded. The record is one per domain, kept in a DNS authorization of its own beside the certificate.
 */
import { createHash } from "node:crypto";
import { millis } from "effect/Duration";
import { value as reveal, type Redacted } from "effect/Redacted";
import { asEffect } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { carries, labelFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Certificates, CertificateState, DnsRecord, Labels, ManagedCertificate } from "../provider.ts";
import type { CertificateApi, NewCertificate } from "./certificate-api.ts";
import { absentAsNull, failedAs, fault } from "./failure.ts";
import { lastPart, type DnsAuthorization, type GcpCertificate, type LongOperation } from "./shapes.ts";

export interface CertificateParts {
  readonly api: CertificateApi;
  readonly clock: Clock;
  readonly times: { readonly pollMs: number; readonly operationMs: number };
}

const nameGrammar = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const domainGrammar = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;

export function makeCertificates(parts: CertificateParts): Certificates {
  const { api } = parts;
  return {
    ensure: (name, domains, labels) => asEffect((signal) => ensureManaged(parts, name, domains, labels, signal)),
    importPem: (name, { chain, key }, labels) =>
      asEffect(async (signal) => {
        const op = `import certificate ${name}`;
        refuseNames(op, name, labels);
        const fits = ({ pemCertificate }: GcpCertificate): boolean => pemCertificate?.trim() === chain.trim();
        const selfManaged = { pemCertificate: chain, pemPrivateKey: reveal(key) };
        const other = "another chain; give the new one another name";
        return describe(
          await ensureOne(parts, { op, name, body: { labels, selfManaged }, confidential: [key], fits, other }, signal),
          [],
        );
      }),
    list: (selector) =>
      asEffect(async (signal) => {
        const wrong = labelFault(selector);
        if (wrong !== null) throw fault({ _tag: "Invalid", op: "list certificates", message: wrong });
        const all = (await api.certificates(selector, signal)).filter(({ labels = {} }) => carries(labels, selector));
        return all.map((one) => describe(one, [])).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }),
    get: (ref) =>
      asEffect(async (signal) => {
        const found = await api.certificate(checkedRef(ref), signal);
        return describe(found, await challengesOf(parts, found, signal));
      }),
    delete: (ref) => asEffect((signal) => remove(parts, checkedRef(ref), signal)),
  };
}

async function ensureManaged(
  parts: CertificateParts,
  name: string,
  domains: readonly string[],
  labels: Labels,
  signal: AbortSignal,
) {
  const { api } = parts;
  const op = `ensure certificate ${name}`;
  refuseNames(op, name, labels);
  const strange = domains.find((domain) => !domainGrammar.test(domain));
  if (strange !== undefined || domains.length === 0) {
    throw fault({ _tag: "Invalid", op, message: `${JSON.stringify(strange ?? "")} is no domain` });
  }
  const wanted = [...new Set(domains)].toSorted();
  const other = "other domains; give the new one another name";
  const fits = ({ managed }: GcpCertificate): boolean => (managed?.domains ?? []).toSorted().join(" ") === wanted.join(" ");
  // Looked at first, so that a conflict leaves no authorizations behind.
  const known = await api.certificate(name, signal).catch(absentAsNull);
  if (known !== null && !fits(known)) throw conflict(op, name, other);
  const proven = [...new Set(wanted.map(provenBy))];
  const records: DnsRecord[] = [];
  const dnsAuthorizations: string[] = [];
  for (const domain of proven) {
    const id = authorizationId(name, domain);
    records.push(...recordOf(await ensureAuthorization(parts, id, domain, labels, signal)));
    dnsAuthorizations.push(await api.authorizationName(id, signal));
  }
  const body: NewCertificate = { labels, managed: { domains: wanted, dnsAuthorizations } };
  return describe(await ensureOne(parts, { op, name, body, confidential: [], fits, other }, signal), records);
}

/** A wildcard is proven by the domain that it stands below. */
const provenBy = (domain: string): string => domain.replace(/^\*\./, "");

function refuseNames(op: string, name: string, labels: Labels): void {
  const wrong = nameGrammar.test(name) ? labelFault(labels) : `${JSON.stringify(name)} is no name of a certificate on GCP`;
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
}

const conflict = (op: string, name: string, other: string) =>
  fault({ _tag: "Conflict", kind: "exists", op, message: `there is a certificate ${name} with ${other}` });

interface Wanted {
  readonly op: string;
  readonly name: string;
  readonly body: NewCertificate;
  readonly confidential: readonly Redacted[];
  readonly fits: (known: GcpCertificate) => boolean;
  /** What one that does not fit has, for people. */
  readonly other: string;
}

/** The name is unique: after whatever happened to the create, looking tells. */
async function ensureOne(parts: CertificateParts, wanted: Wanted, signal: AbortSignal): Promise<GcpCertificate> {
  const { api } = parts;
  const look = () => api.certificate(wanted.name, signal).catch(absentAsNull);
  const known = await look();
  if (known === null) {
    await createOrFind(parts, wanted.op, () => api.create(wanted.name, wanted.body, wanted.confidential, signal), look, signal);
  }
  const now = known ?? (await api.certificate(wanted.name, signal));
  if (!wanted.fits(now)) throw conflict(wanted.op, wanted.name, wanted.other);
  return now;
}

async function ensureAuthorization(parts: CertificateParts, id: string, domain: string, labels: Labels, signal: AbortSignal) {
  const { api } = parts;
  const look = () => api.authorization(id, signal).catch(absentAsNull);
  const known = await look();
  if (known === null)
    await createOrFind(parts, `authorize ${domain}`, () => api.authorize(id, { domain, labels }, signal), look, signal);
  return known ?? api.authorization(id, signal);
}

/** Creates and waits. What failed because it is there (another was faster, or an answer was lost) has not failed. */
async function createOrFind(
  parts: CertificateParts,
  op: string,
  create: () => Promise<LongOperation>,
  look: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await done(parts, op, await create(), signal);
  } catch (failure) {
    const isTold = failedAs(failure, "Conflict") || failedAs(failure, "Transient");
    if (!isTold || (await look()) === null) throw failure;
  }
}

async function done(
  { api, clock, times }: CertificateParts,
  op: string,
  begun: LongOperation,
  signal: AbortSignal,
): Promise<void> {
  let now = begun;
  let isFirst = true;
  const timing = { everyMs: times.pollMs, withinMs: times.operationMs };
  const ended = await pollUntil(clock, timing, signal, async () => {
    if (!isFirst) now = await api.operation(begun.name, signal);
    isFirst = false;
    return now.done === true ? now : null;
  });
  if (ended === null) {
    const message = `${begun.name} is not over after ${times.operationMs} ms`;
    throw fault({ _tag: "Deadline", waitedFor: millis(times.operationMs), op, message });
  }
  if (ended.error === undefined) return;
  const { code = 2, message = "the operation failed without saying why" } = ended.error;
  throw fault({ ...rpcMeaning(code), op, code: `rpc ${code}`, message, requestId: lastPart(begun.name) });
}

/** google.rpc.Code, where it says more than that something was wrong with the wish. */
function rpcMeaning(code: number) {
  switch (code) {
    case 5:
      return { _tag: "NotFound", eventual: false } as const;
    case 6:
      return { _tag: "Conflict", kind: "exists" } as const;
    case 7:
      return { _tag: "Auth", kind: "forbidden" } as const;
    case 8:
      return { _tag: "Quota" } as const;
    case 10:
      return { _tag: "Conflict", kind: "busy" } as const;
    case 13:
    case 14:
      return { _tag: "Transient", maybeApplied: true } as const;
    default:
      return { _tag: "Invalid" } as const;
  }
}

/** Its authorizations go with it: nothing else points to them. */
async function remove(parts: CertificateParts, id: string, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const { api } = parts;
  const known = await api.certificate(id, signal).catch(absentAsNull);
  if (known === null) return "absent";
  const begun = await api.remove(id, signal).catch(absentAsNull);
  if (begun !== null) await done(parts, `delete certificate ${id}`, begun, signal).catch(absentAsNull);
  const ours = new Set((known.managed?.domains ?? []).map((domain) => authorizationId(id, provenBy(domain))));
  for (const name of known.managed?.dnsAuthorizations ?? []) {
    const own = lastPart(name);
    if (!ours.has(own)) continue;
    const also = await api.removeAuthorization(own, signal).catch(absentAsNull);
    if (also !== null) await done(parts, `delete authorization ${own}`, also, signal).catch(absentAsNull);
  }
  return "deleted";
}

async function challengesOf(
  { api }: CertificateParts,
  { managed }: GcpCertificate,
  signal: AbortSignal,
): Promise<readonly DnsRecord[]> {
  const found: DnsRecord[] = [];
  for (const name of managed?.dnsAuthorizations ?? []) {
    const one = await api.authorization(lastPart(name), signal).catch(absentAsNull);
    if (one !== null) found.push(...recordOf(one));
  }
  return found;
}

function recordOf({ dnsResourceRecord: record }: DnsAuthorization): readonly DnsRecord[] {
  if (record?.name === undefined || record.data === undefined) return [];
  const type = record.type === "TXT" ? "TXT" : "CNAME";
  return [{ name: record.name.replace(/\.$/, ""), type, value: record.data.replace(/\.$/, "") }];
}

/** At most 63 characters, and another for each certificate, so that deleting one takes nobody else's. */
const authorizationId = (name: string, domain: string): string =>
  `${name.slice(0, 46)}-${createHash("sha256").update(`${name} ${domain}`).digest("hex").slice(0, 16)}`;

function describe(certificate: GcpCertificate, challenge: readonly DnsRecord[]): ManagedCertificate {
  const { name, sanDnsnames, managed, expireTime } = certificate;
  const id = lastPart(name);
  return {
    ref: id,
    name: id,
    domains: sanDnsnames ?? managed?.domains ?? [],
    state: managed === undefined ? "ready" : stateOf(managed.state),
    notAfter: expireTime === undefined ? null : Date.parse(expireTime),
    ...(challenge.length === 0 ? {} : { challenge }),
  };
}

function stateOf(state: string | undefined): CertificateState {
  if (state === "ACTIVE") return "ready";
  return state === "FAILED" ? "failed" : "pending";
}

function checkedRef(ref: string): string {
  if (nameGrammar.test(ref)) return ref;
  throw fault({ _tag: "NotFound", eventual: false, op: `certificate ${ref}`, message: `there is no certificate ${ref}` });
}
