/**
 * The cluster's certificate authority. Its key is computed from the cluster secret, so whoever holds the secret can
 * issue certificates and nothing else needs to be carried about: the secret is the CA key, and is to be kept like one.
 *
 * The certificate library costs a tenth of a second to load, and only whoever issues needs it; it is therefore loaded
 * by `deriveCa` itself and not with this file.
 */
import { createECDH, createPublicKey, hkdfSync, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { domainsFault } from "@aether/cloud/certificates/issuer";
import type { Role } from "@aether/core/kernel/event";
import type { JsonGeneralName } from "@peculiar/x509";
import { identityUri, isClusterId, isPrincipalName } from "./certificate-identity.ts";

/** PEM texts; the key is PKCS#8. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface IssueRequest {
  readonly clusterId: string;
  readonly role: Role;
  readonly name: string;
  /** DNS names and IP addresses under which this holder serves; empty for those who only connect. */
  readonly hosts: readonly string[];
  /** Days from now; the certificate is also valid for the hour before now, for machines whose clock is behind. */
  readonly days: number;
}

export interface ClusterCa {
  /** PEM. Differs from one derivation to the next in its signature only: key, subject and serial are always the same. */
  readonly certificate: string;
  /** Throws a RangeError on a name, host, cluster id or validity that no certificate may carry. */
  issue(request: IssueRequest): Promise<IssuedCertificate>;
  /** The same for a holder whose private key nobody else has. `publicKey`: PEM (SPKI) of a P-256 key; resolves with the certificate's PEM. */
  certify(request: IssueRequest, publicKey: string): Promise<string>;
  /**
   * For a server at the cluster's edge, as a load balancer is: it names nobody (no `aether://` URI), so that no member believes its holder
   * anything, neither as a client nor as a member. `domains`: 1 to 32 DNS names, of which the first label may be `*`. Throws a RangeError
   * on anything else and on days outside of 1..398.
   */
  issueEdge(domains: readonly string[], days: number): Promise<IssuedCertificate>;
}

/** Order of the curve P-256's base point (SEC 2, secp256r1). */
const curveOrder = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const salt = "aether/ca/v1";
const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
const serverAuth = "1.3.6.1.5.5.7.3.1";
const clientAuth = "1.3.6.1.5.5.7.3.2";
/** The CA lives as long as its secret is in use, which no date can tell. */
const caNotBefore = new Date("2020-01-01T00:00:00Z");
const caNotAfter = new Date("2120-01-01T00:00:00Z");
const backDateMs = 3_600_000;
const daysMax = 3650;
const edgeDaysMax = 398;
const hostsMax = 32;
const hostPattern = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/**
 * The same secret and cluster name give the same CA key on every machine. Throws a RangeError on an empty secret or
 * cluster name.
 */
export async function deriveCa(secret: string, clusterName: string): Promise<ClusterCa> {
  if (secret.length === 0 || clusterName.length === 0) throw new RangeError("a cluster CA needs a secret and a cluster name");
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await importPair(deriveScalar(secret, clusterName));
  const subject = new x509.Name([{ CN: ["Aether cluster CA"] }, { O: [clusterName] }]);
  const serial = Buffer.from(hkdfSync("sha256", secret, `${salt}/serial`, clusterName, 16));
  serial[0] = (serial.readUInt8(0) & 0x3f) | 0x40;
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toString("hex"),
    name: subject,
    notBefore: caNotBefore,
    notAfter: caNotAfter,
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certifyLeaf = async (leaf: Leaf, publicKey: webcrypto.CryptoKey): Promise<string> => {
    const now = Date.now();
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: freshSerial(),
      subject: new x509.Name([{ CN: [leaf.commonName] }, { OU: [leaf.unit] }]),
      issuer: subject,
      notBefore: new Date(now - backDateMs),
      notAfter: new Date(now + leaf.days * 86_400_000),
      signingAlgorithm,
      publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([...leaf.usages]),
        new x509.SubjectAlternativeNameExtension([...leaf.names]),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return endLine(issued.toString("pem"));
  };
  const withFreshKey = async (leaf: Leaf): Promise<IssuedCertificate> => {
    const pair = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", pair.privateKey), "PRIVATE KEY");
    return { certificate: await certifyLeaf(leaf, pair.publicKey), key: endLine(key) };
  };
  const issue = async (request: IssueRequest): Promise<IssuedCertificate> => withFreshKey(principalLeaf(request));
  const issueEdge = async (domains: readonly string[], days: number): Promise<IssuedCertificate> =>
    withFreshKey(edgeLeaf(domains, days));
  const certify = async (request: IssueRequest, publicKey: string): Promise<string> => {
    const leaf = principalLeaf(request);
    const der = createPublicKey(publicKey).export({ type: "spki", format: "der" });
    return certifyLeaf(leaf, await webcrypto.subtle.importKey("spki", der, keyAlgorithm, true, ["verify"]));
  };
  return { certificate: endLine(own.toString("pem")), issue, certify, issueEdge };
}

/** 48 bytes reduced into 1..n-1: 128 bits more than the curve's order leave no measurable bias. */
function deriveScalar(secret: string, clusterName: string): Buffer {
  const wide = BigInt(`0x${Buffer.from(hkdfSync("sha256", secret, salt, clusterName, 48)).toString("hex")}`);
  const scalar = (wide % (curveOrder - 1n)) + 1n;
  return Buffer.from(scalar.toString(16).padStart(64, "0"), "hex");
}

async function importPair(scalar: Buffer): Promise<webcrypto.CryptoKeyPair> {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  const open = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey("jwk", { ...open, d: scalar.toString("base64url") }, keyAlgorithm, false, ["sign"]),
    publicKey: await subtle.importKey("jwk", open, keyAlgorithm, true, ["verify"]),
  };
}

/** What differs from one certificate to the next. */
interface Leaf {
  readonly commonName: string;
  readonly unit: string;
  readonly days: number;
  readonly usages: readonly string[];
  readonly names: readonly JsonGeneralName[];
}

function principalLeaf(request: IssueRequest): Leaf {
  checkRequest(request);
  const { name, role, days } = request;
  return { commonName: name, unit: role, days, usages: [clientAuth, serverAuth], names: alternativeNames(request) };
}

function edgeLeaf(domains: readonly string[], days: number): Leaf {
  const wrong = domainsFault(domains);
  if (wrong !== null) throw new RangeError(wrong);
  if (!(Number.isInteger(days) && days >= 1 && days <= edgeDaysMax))
    throw new RangeError(`days must be 1..${edgeDaysMax}, not ${days}`);
  const names = domains.map((value): JsonGeneralName => ({ type: "dns", value }));
  return { commonName: "Aether edge", unit: "edge", days, usages: [serverAuth], names };
}

function alternativeNames(request: IssueRequest): JsonGeneralName[] {
  const uri: JsonGeneralName = { type: "url", value: identityUri(request.clusterId, request.role, request.name) };
  return [uri, ...request.hosts.map((value): JsonGeneralName => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))];
}

/** 126 random bits, positive, and never so small that it is encoded shorter. */
function freshSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes.readUInt8(0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function checkRequest(r: IssueRequest): void {
  if (!isClusterId(r.clusterId)) throw new RangeError(`cluster id ${JSON.stringify(r.clusterId)} is not 32 hex digits`);
  if (!isPrincipalName(r.name)) throw new RangeError(`${JSON.stringify(r.name)} cannot be a name in a certificate`);
  if (!(Number.isInteger(r.days) && r.days >= 1 && r.days <= daysMax))
    throw new RangeError(`days must be 1..${daysMax}, not ${r.days}`);
  if (r.hosts.length > hostsMax) throw new RangeError(`${r.hosts.length} hosts in one certificate, at most ${hostsMax}`);
  for (const host of r.hosts) {
    if (isIP(host) === 0 && !hostPattern.test(host))
      throw new RangeError(`${JSON.stringify(host)} is neither a DNS name nor an IP address`);
  }
}

const endLine = (pem: string): string => (pem.endsWith("\n") ? pem : `${pem}\n`);
