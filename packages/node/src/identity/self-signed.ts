/** A certificate that says nothing but which key its holder has: for the time before a node has one of the cluster's CA. */
import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";

export interface OwnKey {
  /** PEM texts: PKCS#8, SPKI and a certificate signed with the key itself. */
  readonly key: string;
  readonly publicKey: string;
  readonly certificate: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const dayMs = 86_400_000;

/** A new P-256 key. Loading the certificate library costs a tenth of a second, once. */
export async function makeOwnKey(commonName: string): Promise<OwnKey> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: new x509.Name([{ CN: [commonName] }]),
    // Who looks at it judges the key alone, and its clock may be any.
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + dayMs),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
  });
  const key = createPrivateKey({
    key: Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)),
    type: "pkcs8",
    format: "der",
  })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
  const publicKey = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
  return { key, publicKey, certificate: `${certificate.toString("pem")}\n` };
}
