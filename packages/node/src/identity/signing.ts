/** Signatures of members over bytes that outlive the connection, e.g. checkpoints of the audit chain. ECDSA P-256, SHA-256. */
import { createPrivateKey, sign as signBytes, verify as verifyBytes, X509Certificate } from "node:crypto";
import { isRefusal, readIdentity, type PeerIdentity } from "./certificate-identity.ts";

export type SignatureVerdict =
  | { readonly ok: true; readonly signer: PeerIdentity }
  | { readonly ok: false; readonly why: "badCertificate" | "foreignCa" | "notMember" | "badSignature"; readonly detail: string };

/** Base64 of a DER signature. Throws when the PEM text is no private key. */
export function sign(privateKeyPem: string, bytes: Uint8Array): string {
  return signBytes("sha256", bytes, createPrivateKey(privateKeyPem)).toString("base64");
}

/**
 * Whether a member of the CA's cluster signed these bytes. Dates are not judged: a signature stays good after its
 * certificate's end. Total over junk: whatever is not a certificate or a signature is a verdict, never an exception.
 */
export function verify(certificatePem: string, caPem: string, bytes: Uint8Array, signature: string): SignatureVerdict {
  const certificate = parseCertificate(certificatePem);
  const ca = parseCertificate(caPem);
  if (certificate === null || ca === null)
    return no("badCertificate", `the ${ca === null ? "CA" : "signer's"} certificate cannot be read`);
  if (!ca.ca || !certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    return no("foreignCa", "the signer's certificate was not issued by this CA");
  }
  const signer = readIdentity(certificate, null, () => false, null);
  if (isRefusal(signer)) return no("badCertificate", signer.detail);
  if (signer.role !== "member") return no("notMember", `${signer.role}:${signer.name} is not a member`);
  if (!verifyBytes("sha256", bytes, certificate.publicKey, Buffer.from(signature, "base64"))) {
    return no("badSignature", `not ${signer.name}'s signature over these bytes`);
  }
  return { ok: true, signer };
}

const no = (why: "badCertificate" | "foreignCa" | "notMember" | "badSignature", detail: string): SignatureVerdict => ({
  ok: false,
  why,
  detail,
});

function parseCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
