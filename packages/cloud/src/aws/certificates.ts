/**
 * Certificates in ACM, which have no names: a tag holds ours. Those that ACM issues prove their domains by DNS records, which a person
 * must put there; keys never leave ACM, so they serve the vendor's load balancers only.
 */
import { createHash } from "node:crypto";
import { asEffect } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { inTurns } from "../in-turns.ts";
import { carries, labelFault, labelKeys } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Certificates, CertificateState, DnsRecord, Labels, ManagedCertificate } from "../provider.ts";
import type { Acm, AcmCertificate, ImportWish } from "./acm.ts";
import { failedAs, fault } from "./failure.ts";

export interface CertificateParts {
  readonly acm: Acm;
  readonly clock: Clock;
  readonly pollMs: number;
  /** How long a list may not show what was made. */
  readonly consistencyMs: number;
}

/** The provider's own book beside the labels: our name, and the digest of what was asked for. */
const nameTag = "aether-certificate";
const wishTag = "aether-spec";
/** The vendor thinks up a challenge within seconds. */
const challengeMs = 60_000;
const importsMax = 4;
/** Tags are read for each certificate by itself. */
const atOnce = 4;
const certificatesMax = 2_500;

export function makeCertificates(parts: CertificateParts): Certificates {
  return {
    ensure: (name, domains, labels) => asEffect((signal) => ensure(parts, name, domains, labels, signal)),
    importPem: (name, pem, labels) =>
      asEffect((signal) => {
        const { leaf, intermediates } = splitChain(pem.chain);
        const digest = digestOf(["import", pem.chain.trim()]);
        const tags = { ...labels, [nameTag]: name, [wishTag]: digest };
        return importPem(parts, name, { leaf, intermediates, key: pem.key, tags }, signal);
      }),
    get: (ref) =>
      asEffect(async (signal) => {
        const arn = arnOf(ref);
        return described(await parts.acm.describe(arn, signal), await parts.acm.tags(arn, signal));
      }),
    list: (selector) =>
      asEffect(async (signal) => {
        refuseLabels("list certificates", selector);
        const found = await tagged(parts, selector, signal);
        const all = await inTurns(
          found.map(
            ({ arn, tags }) =>
              async () =>
                described(await parts.acm.describe(arn, signal), tags),
          ),
          atOnce,
        );
        return all.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }),
    delete: (ref) => asEffect((signal) => remove(parts, ref, signal)),
  };
}

async function ensure(parts: CertificateParts, name: string, domains: readonly string[], labels: Labels, signal: AbortSignal) {
  const op = `ensure certificate ${name}`;
  refuseLabels(op, labels);
  if (domains.length === 0) throw fault({ _tag: "Invalid", op, message: "a certificate needs a domain" });
  const digest = digestOf(["issue", ...domains.toSorted()]);
  const known = (await named(parts, name, labels, signal))[0];
  if (known !== undefined) return sameOrConflict(parts, name, known, digest, op, signal);
  const tags = { ...labels, [nameTag]: name, [wishTag]: digest };
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const token = digestOf([name, digest, ...sorted.flat()]).slice(0, 32);
  const arn = await parts.acm.issue({ domains, token, tags }, signal);
  const last: { certificate: AcmCertificate | null } = { certificate: null };
  const timing = { everyMs: parts.pollMs, withinMs: challengeMs };
  await pollUntil(parts.clock, timing, signal, async () => {
    // What was made a moment ago may not be known yet.
    last.certificate = await parts.acm.describe(arn, signal).catch(absentAsNull);
    if (last.certificate === null) return null;
    return last.certificate.Status !== "PENDING_VALIDATION" || hasWholeChallenge(last.certificate) ? true : null;
  });
  if (last.certificate !== null) return described(last.certificate, tags);
  throw fault({ _tag: "NotFound", eventual: true, op, message: `${arn} was requested and is not known yet` });
}

/** Importing has no token. After a lost answer only looking tells; and should it have happened twice, one is taken away. */
async function importPem(
  parts: CertificateParts,
  name: string,
  wish: ImportWish,
  signal: AbortSignal,
): Promise<ManagedCertificate> {
  const { acm, clock, consistencyMs } = parts;
  const op = `import certificate ${name}`;
  refuseLabels(op, Object.fromEntries(Object.entries(wish.tags).filter(([key]) => key !== nameTag && key !== wishTag)));
  const digest = wish.tags[wishTag] ?? "";
  for (let tries = 1; ; tries += 1) {
    const [known, ...twins] = await named(parts, name, wish.tags, signal);
    if (known !== undefined) {
      for (const twin of twins) if (twin.tags[wishTag] === known.tags[wishTag]) await dropUnused(parts, twin.arn, signal);
      return sameOrConflict(parts, name, known, digest, op, signal);
    }
    try {
      const arn = await acm.import(wish, signal);
      const all = await named(parts, name, wish.tags, signal);
      if (all.length <= 1) return described(await acm.describe(arn, signal), wish.tags);
    } catch (failure) {
      if (!failedAs(failure, "Transient") || tries >= importsMax) throw failure;
      await clock.sleep(consistencyMs * tries, signal);
    }
  }
}

interface Tagged {
  readonly arn: string;
  readonly tags: Labels;
}

/** Every certificate whose tags contain these, by ARN. */
async function tagged({ acm }: CertificateParts, wanted: Labels, signal: AbortSignal): Promise<readonly Tagged[]> {
  const arns = await acm.list(signal);
  if (arns.length > certificatesMax) {
    const message = `${arns.length} certificates in this region; more than ${certificatesMax} are not looked through`;
    throw fault({ _tag: "Invalid", op: "list certificates", message });
  }
  const works = arns.map((arn) => async () => {
    const tags = await acm.tags(arn, signal).catch(absentAsNull);
    return tags !== null && carries(tags, wanted) ? [{ arn, tags }] : [];
  });
  return (await inTurns(works, atOnce)).flat().toSorted((a, b) => (a.arn < b.arn ? -1 : 1));
}

/** Ours of that name: the name belongs to the cluster, not to the account. */
function named(parts: CertificateParts, name: string, labels: Labels, signal: AbortSignal): Promise<readonly Tagged[]> {
  const owner = [labelKeys.managed, labelKeys.cluster].flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]]));
  return tagged(parts, { ...(Object.fromEntries(owner) as Labels), [nameTag]: name }, signal);
}

async function sameOrConflict(
  { acm }: CertificateParts,
  name: string,
  known: Tagged,
  digest: string,
  op: string,
  signal: AbortSignal,
): Promise<ManagedCertificate> {
  if (known.tags[wishTag] === digest) return described(await acm.describe(known.arn, signal), known.tags);
  const message = `there is a certificate ${name} with other domains or another chain; give the new one another name`;
  throw fault({ _tag: "Conflict", kind: "exists", op, message });
}

async function remove(parts: CertificateParts, ref: string, signal: AbortSignal): Promise<"deleted" | "absent"> {
  if (!isArn(ref)) return "absent";
  const tags = await parts.acm.tags(ref, signal).catch(absentAsNull);
  if (tags === null) return "absent";
  if (tags[labelKeys.managed] !== "true") {
    throw fault({
      _tag: "Invalid",
      op: `delete certificate ${ref}`,
      message: `${ref} does not carry our labels: it is not ours`,
    });
  }
  await drop(parts, ref, signal);
  return "deleted";
}

/** Gone between the look and the deletion, or by a try of it whose answer was lost, is gone. */
async function drop({ acm }: CertificateParts, arn: string, signal: AbortSignal): Promise<void> {
  await acm.delete(arn, signal).catch(absentAsNull);
}

/** A twin that a load balancer shows does no harm; it stays. */
async function dropUnused(parts: CertificateParts, arn: string, signal: AbortSignal): Promise<void> {
  const { InUseBy: users = [] } = (await parts.acm.describe(arn, signal).catch(absentAsNull)) ?? {};
  if (users.length === 0) await drop(parts, arn, signal);
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

function refuseLabels(op: string, labels: Labels): void {
  const wrong = labelFault(labels);
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
}

const digestOf = (parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);

/** The first certificate is the one that is shown; those that follow lead from it to an authority. */
function splitChain(chain: string): { readonly leaf: string; readonly intermediates: string } {
  const end = "-----END CERTIFICATE-----";
  const at = chain.indexOf(end);
  if (at < 0) return { leaf: chain, intermediates: "" };
  return { leaf: `${chain.slice(0, at + end.length).trim()}\n`, intermediates: chain.slice(at + end.length).trimStart() };
}

const isArn = (ref: string): boolean => /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[A-Za-z0-9-]{1,64}$/.test(ref);

function arnOf(ref: string): string {
  if (isArn(ref)) return ref;
  throw fault({ _tag: "NotFound", eventual: false, op: `certificate ${ref}`, message: `there is no certificate ${ref}` });
}

const recordsOf = (certificate: AcmCertificate) =>
  (certificate.DomainValidationOptions ?? []).flatMap(({ ResourceRecord: record }) => (record === undefined ? [] : [record]));

const hasWholeChallenge = (certificate: AcmCertificate): boolean =>
  recordsOf(certificate).length > 0 && recordsOf(certificate).length === certificate.DomainValidationOptions?.length;

function described(certificate: AcmCertificate, tags: Labels): ManagedCertificate {
  const { CertificateArn: ref, DomainName: first, SubjectAlternativeNames: domains, NotAfter: notAfter } = certificate;
  const challenge = challengeOf(certificate);
  return {
    ref,
    name: tags[nameTag] ?? first ?? ref,
    domains: domains ?? (first === undefined ? [] : [first]),
    state: stateOf(certificate.Status),
    notAfter: notAfter === undefined ? null : Math.round(notAfter * 1000),
    ...(challenge.length === 0 ? {} : { challenge }),
  };
}

/** A wildcard and its own domain share one record. */
function challengeOf(certificate: AcmCertificate): readonly DnsRecord[] {
  const withoutDot = (name: string): string => name.replace(/\.$/, "");
  const records = recordsOf(certificate).map(({ Name, Type, Value }): [string, DnsRecord] => [
    Name,
    { name: withoutDot(Name), type: Type === "TXT" ? "TXT" : "CNAME", value: withoutDot(Value) },
  ]);
  return [...new Map(records).values()];
}

function stateOf(status: string): CertificateState {
  if (status === "ISSUED") return "ready";
  return status === "PENDING_VALIDATION" ? "pending" : "failed";
}
