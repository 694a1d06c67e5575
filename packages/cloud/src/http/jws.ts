/** Signed assertions (RFC 7515, compact), with which a program proves to a token endpoint who it is. */
import { value as reveal, type Redacted } from "effect/Redacted";

export interface JwsHeader {
  readonly alg: "RS256";
  readonly typ?: "JWT";
  readonly kid?: string;
  /** SHA-256 thumbprint of the certificate, base64url. */
  readonly "x5t#S256"?: string;
}

/** `pem` is a PKCS#8 RSA key. Throws a TypeError when it is none. The library is loaded with the first signature. */
export async function signJws(header: JwsHeader, payload: Uint8Array, pem: Redacted): Promise<string> {
  const { CompactSign, importPKCS8 } = await import("jose");
  const key = await importPKCS8(reveal(pem), header.alg);
  return new CompactSign(payload).setProtectedHeader({ ...header }).sign(key);
}
