/** Uploaded certificates, for what stands on a load balancer. Those that the vendor issues itself need its DNS, which we do not hold. */
import { fail } from "effect/Effect";
import { asEffect } from "../failure.ts";
import { carries, labelFault } from "../labels.ts";
import type { Certificates, ManagedCertificate } from "../provider.ts";
import type { HetznerApi } from "./api.ts";
import { failedAs, fault } from "./failure.ts";
import type { HetznerCertificate } from "./shapes.ts";

export function makeCertificates(api: HetznerApi): Certificates {
  return {
    ensure: (name) => {
      const message = "Hetzner issues certificates only for zones in its own DNS; upload one instead";
      return fail(fault({ _tag: "Unsupported", capability: "certificates", op: `ensure certificate ${name}`, message }).error);
    },
    importPem: (name, { chain, key }, labels) =>
      asEffect(async (signal) => {
        const op = `import certificate ${name}`;
        const wrong = labelFault(labels);
        if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
        const known = (await api.certificates(name, signal))[0];
        if (known !== undefined) return sameOrConflict(known, chain, op);
        try {
          return describe(await api.uploadCertificate({ name, chain, key, labels }, signal));
        } catch (failure) {
          // Another was faster, or an earlier try of ours was heard: its name is unique, so looking tells.
          const isTold = failedAs(failure, "Conflict") || failedAs(failure, "Transient");
          const now = isTold ? (await api.certificates(name, signal))[0] : undefined;
          if (now === undefined) throw failure;
          return sameOrConflict(now, chain, op);
        }
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
        await api.deleteCertificate(idOf(ref), signal).catch((failure: unknown) => {
          // Gone between the look and the deletion, or by a try of it whose answer was lost.
          if (!failedAs(failure, "NotFound")) throw failure;
        });
        return "deleted";
      }),
  };
}

function sameOrConflict(known: HetznerCertificate, chain: string, op: string): ManagedCertificate {
  if (known.certificate?.trim() === chain.trim()) return describe(known);
  const message = `there is a certificate ${known.name} with another chain; give the new one another name`;
  throw fault({ _tag: "Conflict", kind: "exists", op, message });
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
