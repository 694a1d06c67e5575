/** The cluster's CA as a signer of edge certificates, for the providers that sign none. */
import type { CertificateIssuer } from "@aether/cloud/certificates/issuer";
import { make as redact } from "effect/Redacted";
import type { ClusterCa } from "./cluster-ca.ts";

/** With the hour before now that is less than the 398 days after which browsers and other clients doubt a certificate. */
const edgeDays = 397;

/** `open` gives the CA, or says in words without a secret why there is none; it is asked at each issue, since to derive a CA takes time. */
export const edgeIssuer = (open: () => Promise<ClusterCa | { readonly why: string }>): CertificateIssuer => ({
  issue: async (domains) => {
    const ca = await open();
    if ("why" in ca) return ca;
    const { certificate, key } = await ca.issueEdge(domains, edgeDays);
    return { chain: certificate, key: redact(key) };
  },
});
