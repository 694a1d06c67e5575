/**
 * Uploaded certificates, for what stands on a load balancer. Those that the vendor issues itself need its DNS, which we do not hold; what
 * is to be issued is signed by the cluster's own CA, and uploaded.
 */
import { asEffect } from "../failure.ts";
import { domainsFault, isFresh, sameDomains, type CertificateIssuer } from "../certificates/issuer.ts";
import { carries, labelFault } from "../labels.ts";
import type { Certificates, ManagedCertificate } from "../provider.ts";
import type { CertificateUpload, HetznerApi } from "./api.ts";
import { failedAs, fault } from "./failure.ts";
import type { HetznerCertificate } from "./shapes.ts";

export interface CertificateParts {
  readonly api: HetznerApi;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Without one, `ensure` is Unsupported. */
  readonly issuer?: CertificateIssuer | undefined;
}

export function makeCertificates(parts: CertificateParts): Certificates {
  const { api } = parts;
  return {
    ensure: (name, domains, labels) =>
      asEffect(async (signal) => {
        const op = `ensure certificate ${name}`;
        const wrong = labelFault(labels) ?? domainsFault(domains);
        if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
        const isGood = goodFor(domains, op, parts.now);
        const known = (await api.certificates(name, signal))[0];
        if (known !== undefined && isGood(known)) return describe(known);
        const signed = await sign(parts.issuer, domains, op);
        if (known !== undefined) {
          if (!carries(known.labels, labels)) throw taken(op, `${known.name} is about to end and is not ours to replace`);
          // Its name is needed. One that a load balancer still shows is refused by the vendor, and stays.
          await remove(api, known.id, signal);
        }
        return upload(api, { name, ...signed, labels }, signal, (now) => {
          if (isGood(now)) return describe(now);
          throw taken(op, `${now.name} was put there by somebody else, and is about to end`);
        });
      }),
    importPem: (name, { chain, key }, labels) =>
      asEffect(async (signal) => {
        const op = `import certificate ${name}`;
        const wrong = labelFault(labels);
        if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
        const known = (await api.certificates(name, signal))[0];
        if (known !== undefined) return sameOrConflict(known, chain, op);
        return upload(api, { name, chain, key, labels }, signal, (now) => sameOrConflict(now, chain, op));
      }),
    list: (selector) =>
      asEffect(async (signal) => {
        const wrong = labelFault(selector);
        if (wrong !== null) throw fault({ _tag: "Invalid", op: "list certificates", message: wrong });
        const all = (await api.labelledCertificates(selector, signal)).filter(({ labels }) => carries(labels, selector));
        return all.map(describe).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }),
    get: (ref) => asEffect(async (signal) => describe(await api.certificate(idOf(ref), signal))),
    delete: (ref) =>
      asEffect(async (signal) => {
        try {
          await api.certificate(idOf(ref), signal);
        } catch (failure) {
          if (failedAs(failure, "NotFound")) return "absent";
          throw failure;
        }
        await remove(api, idOf(ref), signal);
        return "deleted";
      }),
  };
}

async function remove(api: HetznerApi, id: number, signal: AbortSignal): Promise<void> {
  await api.deleteCertificate(id, signal).catch((failure: unknown) => {
    // Gone between the look and the deletion, or by a try of it whose answer was lost.
    if (!failedAs(failure, "NotFound")) throw failure;
  });
}

async function upload(
  api: HetznerApi,
  wish: CertificateUpload,
  signal: AbortSignal,
  judge: (known: HetznerCertificate) => ManagedCertificate,
): Promise<ManagedCertificate> {
  try {
    return describe(await api.uploadCertificate(wish, signal));
  } catch (failure) {
    // Another was faster, or an earlier try of ours was heard: its name is unique, so looking tells.
    const isTold = failedAs(failure, "Conflict") || failedAs(failure, "Transient");
    const now = isTold ? (await api.certificates(wish.name, signal))[0] : undefined;
    if (now === undefined) throw failure;
    return judge(now);
  }
}

async function sign(issuer: CertificateIssuer | undefined, domains: readonly string[], op: string) {
  const why =
    "Hetzner issues certificates only for zones in its own DNS, and there is no cluster secret here, so no cluster CA to sign one; upload one";
  const signed = issuer === undefined ? { why } : await issuer.issue(domains);
  if ("why" in signed) throw fault({ _tag: "Unsupported", capability: "certificates", op, message: signed.why });
  return signed;
}

/** Is the known one for these domains and not soon to end? Throws a Conflict when it is for others. */
const goodFor =
  (domains: readonly string[], op: string, now: () => number) =>
  (known: HetznerCertificate): boolean => {
    if (!sameDomains(known.domain_names, domains)) throw taken(op, `${known.name} is for ${known.domain_names.join(", ")}`);
    const { not_valid_before: notBefore, not_valid_after: notAfter } = known;
    // Without dates it is one of the vendor's own, still being made; those it renews itself.
    if (known.type === "managed" || notBefore === null || notAfter === null) return true;
    return isFresh({ notBefore: Date.parse(notBefore), notAfter: Date.parse(notAfter) }, now());
  };

const taken = (op: string, what: string) =>
  fault({ _tag: "Conflict", kind: "exists", op, message: `the certificate ${what}; give the new one another name` });

function sameOrConflict(known: HetznerCertificate, chain: string, op: string): ManagedCertificate {
  if (known.certificate?.trim() === chain.trim()) return describe(known);
  throw taken(op, `${known.name} is there with another chain`);
}

function describe(certificate: HetznerCertificate): ManagedCertificate {
  const { id, name, domain_names: domains, not_valid_after: notAfter, status } = certificate;
  const issuance = status?.issuance ?? "completed";
  return {
    ref: String(id),
    name,
    domains,
    state: issuance === "completed" ? "ready" : issuance === "failed" ? "failed" : "pending",
    notAfter: notAfter === null ? null : Date.parse(notAfter),
  };
}

function idOf(ref: string): number {
  if (/^[1-9]\d{0,14}$/.test(ref)) return Number(ref);
  throw fault({ _tag: "NotFound", eventual: false, op: `certificate ${ref}`, message: `there is no certificate ${ref}` });
}
