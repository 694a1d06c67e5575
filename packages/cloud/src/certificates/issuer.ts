/**
 * Who signs edge certificates where the provider signs none (Hetzner, local): the cluster's own CA. Its key comes from the cluster secret,
 * which only the packages above this one know, so it is handed in.
 */
import { isIP } from "node:net";
import type { Redacted } from "effect/Redacted";

/** PEM texts. `chain`: the certificate first, then what signed it, without the CA itself. `key`: PKCS#8. */
export interface SignedCertificate {
  readonly chain: string;
  readonly key: Redacted;
}

export interface CertificateIssuer {
  /** For servers of these DNS names, as {@link domainsFault} allows them. Or why it cannot, in words that tell no secret. */
  issue(domains: readonly string[]): Promise<SignedCertificate | { readonly why: string }>;
}

const domainsMax = 32;
const domainGrammar = /^(?=.{1,253}$)(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** What is wrong with these names for one certificate, or null: 1 to 32 DNS names in lower case, of which the first label may be `*`. */
export function domainsFault(domains: readonly string[]): string | null {
  if (domains.length === 0 || domains.length > domainsMax)
    return `${domains.length} domains, 1 to ${domainsMax} can be certified`;
  const wrong = domains.find((domain) => !domainGrammar.test(domain) || isIP(domain) !== 0);
  return wrong === undefined ? null : `${JSON.stringify(wrong)} is no DNS name in lower case`;
}

/** Whatever their order, and however often one is named. */
export const sameDomains = (a: readonly string[], b: readonly string[]): boolean =>
  new Set(a).size === new Set([...a, ...b]).size && new Set(b).size === new Set(a).size;

/** More than a third of its life is left at `now`. All in Unix milliseconds. */
export const isFresh = (life: { readonly notBefore: number; readonly notAfter: number }, now: number): boolean =>
  (life.notAfter - now) * 3 > life.notAfter - life.notBefore;
