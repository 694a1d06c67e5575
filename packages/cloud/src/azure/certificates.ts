/**
 * Certificates in Key Vault, by name. An issuer that is set up in the vault makes them, or the vault signs them itself. What is
 * deleted is kept for the vault's own time, and its name with it.
 */
import { X509Certificate } from "node:crypto";
import { asEffect, CloudFailure } from "../failure.ts";
import { inTurns } from "../in-turns.ts";
import { carries, labelFault, labelKeys } from "../labels.ts";
import type { Certificates, Labels, ManagedCertificate } from "../provider.ts";
import { failedAs, fault } from "./failure.ts";
import { vaultNameGrammar, type CertificatePolicy, type Vault, type VaultCertificate } from "./vault.ts";

const atOnce = 4;
const domainsMax = 100;
const domainGrammar = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;

export function makeCertificates(vault: Vault, issuer: string): Certificates {
  return {
    ensure: (name, domains, labels) =>
      asEffect(async (signal) => {
        const op = `ensure certificate ${name}`;
        refuse(op, name, labels);
        const bad = domains.find((domain) => domain.length > 253 || !domainGrammar.test(domain));
        if (domains.length === 0 || domains.length > domainsMax || bad !== undefined) {
          throw fault({
            _tag: "Invalid",
            op,
            message: `1 to ${domainsMax} domains are wanted: ${bad ?? String(domains.length)}`,
          });
        }
        const isSame = (known: ManagedCertificate): boolean => known.domains.toSorted().join() === domains.toSorted().join();
        const make = () => vault.create(name, { domains, issuer, tags: labels }, signal);
        return once(vault, name, labels, op, make, isSame, signal);
      }),
    importPem: (name, { chain, key }, labels) =>
      asEffect(async (signal) => {
        const op = `import certificate ${name}`;
        refuse(op, name, labels);
        const leaf = leafOf(chain, op);
        const isSame = (_: ManagedCertificate, stored: VaultCertificate | null): boolean => stored?.cer === leaf;
        return once(vault, name, labels, op, () => vault.importPem(name, chain, key, labels, signal), isSame, signal);
      }),
    get: (ref) =>
      asEffect(async (signal) => {
        const found = vaultNameGrammar.test(ref) ? await look(vault, ref, signal) : null;
        if (found !== null) return found.shown;
        throw fault({ _tag: "NotFound", eventual: false, op: `certificate ${ref}`, message: `there is no certificate ${ref}` });
      }),
    list: (selector) =>
      asEffect(async (signal) => {
        const wrong = labelFault(selector);
        if (wrong !== null) throw fault({ _tag: "Invalid", op: "list certificates", message: wrong });
        const mine = (await vault.certificates(signal)).filter(({ tags }) => carries(tags, selector));
        const found = await inTurns(
          mine.map(
            ({ name }) =>
              () =>
                look(vault, name, signal),
          ),
          atOnce,
        );
        return found.flatMap((one) => (one === null ? [] : [one.shown])).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }),
    delete: (ref) => asEffect((signal) => remove(vault, ref, signal)),
  };
}

function refuse(op: string, name: string, labels: Labels): void {
  const wrong = vaultNameGrammar.test(name)
    ? labelFault(labels)
    : `${JSON.stringify(name)} is no name in a vault: letters, digits and -`;
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
}

/** Looks, makes, and looks again: also when the answer was lost or another was faster. */
async function once(
  vault: Vault,
  name: string,
  labels: Labels,
  op: string,
  make: () => Promise<void>,
  isSame: (known: ManagedCertificate, stored: VaultCertificate | null) => boolean,
  signal: AbortSignal,
): Promise<ManagedCertificate> {
  const adopt = ({ shown, stored, tags }: Seen): ManagedCertificate => {
    if (isSame(shown, stored) && carries(tags, labels)) return shown;
    const message = `there is a certificate ${name} with another content or other labels; give the new one another name`;
    throw fault({ _tag: "Conflict", kind: "exists", op, message });
  };
  const known = await look(vault, name, signal);
  if (known !== null) return adopt(known);
  try {
    await make();
  } catch (failure) {
    if (!(failure instanceof CloudFailure)) throw failure;
    if (failure.error.code === "ObjectIsDeletedButRecoverable") {
      const message = `a certificate ${name} was deleted and the vault still keeps it: recover or purge that one, or choose another name`;
      throw new CloudFailure({ ...failure.error, message });
    }
    const isTold = failedAs(failure, "Conflict") || failedAs(failure, "Transient");
    const now = isTold ? await look(vault, name, signal) : null;
    if (now === null) throw failure;
    return adopt(now);
  }
  const made = await look(vault, name, signal);
  if (made !== null) return adopt(made);
  throw fault({ _tag: "NotFound", eventual: true, op, message: `certificate ${name} was made and is not shown yet` });
}

interface Seen {
  readonly shown: ManagedCertificate;
  readonly stored: VaultCertificate | null;
  readonly tags: Labels;
}

/** One that is being made for the first time may be shown only by its making. */
async function look(vault: Vault, name: string, signal: AbortSignal): Promise<Seen | null> {
  const stored = await vault.certificate(name, signal).catch(absentAsNull);
  const cer = stored?.cer ?? null;
  if (stored !== null && cer !== null) {
    const parsed = new X509Certificate(Buffer.from(cer, "base64"));
    const names = (parsed.subjectAltName ?? "").split(", ").flatMap((one) => (one.startsWith("DNS:") ? [one.slice(4)] : []));
    const asked = stored.policy?.x509_props?.sans?.dns_names ?? [];
    const domains = asked.length > 0 ? asked : names;
    const shown = { ref: name, name, domains, state: "ready", notAfter: Date.parse(parsed.validTo) } as const;
    return { shown, stored, tags: stored.tags ?? {} };
  }
  const status = await vault.making(name, signal).catch(absentAsNull);
  if (status === null && stored === null) return null;
  const state = status === "inProgress" || status === "completed" ? "pending" : "failed";
  const asked: CertificatePolicy = stored?.policy ?? (await vault.policy(name, signal).catch(absentAsNull)) ?? {};
  const tags = stored?.tags ?? (await vault.certificates(signal)).find((one) => one.name === name)?.tags ?? {};
  const domains = asked.x509_props?.sans?.dns_names ?? [];
  return { shown: { ref: name, name, domains, state, notAfter: null }, stored, tags };
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

/** What the vault would show of it: DER as base64. */
function leafOf(chain: string, op: string): string {
  try {
    return new X509Certificate(chain).raw.toString("base64");
  } catch {
    throw fault({ _tag: "Invalid", op, message: "the chain does not begin with a certificate (PEM)" });
  }
}

/** Only what says that Aether manages it. */
async function remove(vault: Vault, ref: string, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const found = vaultNameGrammar.test(ref) ? await look(vault, ref, signal) : null;
  if (found === null) return "absent";
  if (found.tags[labelKeys.managed] !== "true") {
    const message = `certificate ${ref} does not carry our labels: it is not ours`;
    throw fault({ _tag: "Invalid", op: `delete certificate ${ref}`, message });
  }
  try {
    await vault.delete(ref, signal);
  } catch (failure) {
    // Gone between the look and the deletion, or by a try of it whose answer was lost.
    if (!failedAs(failure, "NotFound")) throw failure;
  }
  return "deleted";
}
