/** What a maker gives to a machine, and by which the machine becomes a node: who it is, its certificate, its secrets. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isSuccess } from "effect/Result";
import { value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { parseNodeFile, type NodeFile } from "@aether/core/config/node-file";
import { isRefusal, readIdentity } from "../identity/certificate-identity.ts";
import { certificateFingerprint, type Birth } from "./birth-file.ts";

/** Each is a file of mode 0600 on the node. */
export interface SecretFiles {
  readonly clusterSecret: Redacted;
  /** Of the backups' remote. */
  readonly backupToken: Redacted | null;
  /** Environment variables with the provider's credentials, where machines have no identity of their own or are not to use it. */
  readonly providerEnv: Redacted<Readonly<Record<string, string>>> | null;
}

type Encoded = typeof NodeFile.Encoded;
/** The daemon's file but for what only the node can know: where things lie. */
export type GivenConfiguration = Omit<Encoded, "dataDir" | "tls" | "fleet" | "routes">;

export interface Gift {
  readonly configuration: GivenConfiguration;
  /** PEM. */
  readonly ca: string;
  /** The node's certificate (PEM) for its public key (PEM, SPKI). */
  readonly certify: (publicKey: string) => Promise<string>;
  readonly files: SecretFiles;
}

/** Names of the files in the node's state folder. `node.json` is the last that is written: with it the node is born. */
export const fileNames = {
  configuration: "node.json",
  ca: "ca.pem",
  certificate: "node.pem",
  key: "node.key",
  clusterSecret: "cluster-secret",
  backupToken: "backup-token",
  providerEnv: "provider-env.json",
  data: "data",
} as const;

/** Longest body of a gift. A configuration with 64 seeds, two certificates and the secrets have some 20 KiB. */
export const giftBytesMax = 256 * 1024;

const secretText = (charsMax: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(charsMax));
const Given = Schema.Struct({
  configuration: Schema.Record(Schema.String, Schema.Unknown),
  ca: secretText(16_384),
  certificate: secretText(16_384),
  files: Schema.Struct({
    clusterSecret: secretText(4_096),
    backupToken: Schema.optionalKey(secretText(16_384)),
    providerEnv: Schema.optionalKey(Schema.Record(secretText(256), Schema.String)),
  }),
});
const decode = Schema.decodeUnknownResult(Given, { onExcessProperty: "error" });

/** The body that the maker sends; it holds secrets. */
export async function giftBody(gift: Gift, publicKey: string): Promise<Uint8Array> {
  const { clusterSecret, backupToken, providerEnv } = gift.files;
  const files = {
    clusterSecret: reveal(clusterSecret),
    ...(backupToken === null ? {} : { backupToken: reveal(backupToken) }),
    ...(providerEnv === null ? {} : { providerEnv: reveal(providerEnv) }),
  };
  const { configuration, ca } = gift;
  return Buffer.from(JSON.stringify({ configuration, ca, certificate: await gift.certify(publicKey), files }));
}

/** A file of the state folder. */
export interface NodeFileText {
  readonly name: string;
  readonly text: string;
}

/**
 * The files that make a node of what a proven maker sent, in the order in which they are to be written; or what is wrong with it, in words
 * that repeat nothing of it. `folder` is where they will lie, `key` the node's private key (PEM).
 */
export function filesOf(
  body: Uint8Array,
  birth: Birth,
  key: string,
  folder: string,
): { readonly files: readonly NodeFileText[] } | { readonly fault: string } {
  const given = parse(body);
  if (given === null) return { fault: "the body has another shape than this version knows" };
  const { ca, certificate, files } = given;
  const fault = certificateFault(birth, ca, certificate, key);
  if (fault !== null) return { fault };
  const at = (name: string): string => `${folder}/${name}`;
  const backup = { ...(given.configuration["backup"] as object | undefined) };
  const configuration = {
    ...given.configuration,
    dataDir: at(fileNames.data),
    tls: { ca: `file:${at(fileNames.ca)}`, certificate: `file:${at(fileNames.certificate)}`, key: `file:${at(fileNames.key)}` },
    backup: { ...backup, remoteToken: files.backupToken === undefined ? null : `file:${at(fileNames.backupToken)}` },
    fleet: {
      clusterSecret: `file:${at(fileNames.clusterSecret)}`,
      providerEnv: files.providerEnv === undefined ? null : `file:${at(fileNames.providerEnv)}`,
    },
  };
  const text = `${JSON.stringify(configuration, null, 2)}\n`;
  const parsed = parseNodeFile(text);
  if ("errors" in parsed) return { fault: `the configuration cannot be used: ${parsed.errors.join("; ")}` };
  const { cluster, node, listen } = parsed.ok;
  const isOurs = cluster.id === birth.cluster.id && cluster.name === birth.cluster.name && node.name === birth.node;
  if (!isOurs || listen.port !== birth.port) return { fault: "the configuration is that of another node" };
  return {
    files: [
      { name: fileNames.key, text: key },
      { name: fileNames.ca, text: ca },
      { name: fileNames.certificate, text: certificate },
      { name: fileNames.clusterSecret, text: `${files.clusterSecret}\n` },
      ...(files.backupToken === undefined ? [] : [{ name: fileNames.backupToken, text: `${files.backupToken}\n` }]),
      ...(files.providerEnv === undefined
        ? []
        : [{ name: fileNames.providerEnv, text: `${JSON.stringify(files.providerEnv)}\n` }]),
      { name: fileNames.configuration, text },
    ],
  };
}

function parse(body: Uint8Array): typeof Given.Type | null {
  try {
    const result = decode(JSON.parse(Buffer.from(body).toString("utf8")));
    return isSuccess(result) ? result.success : null;
  } catch {
    return null;
  }
}

function certificateFault(birth: Birth, caPem: string, certificatePem: string, key: string): string | null {
  try {
    const [ca, certificate] = [new X509Certificate(caPem), new X509Certificate(certificatePem)];
    if (certificateFingerprint(caPem) !== birth.caFingerprint) return "the CA is not the one of this machine's birth file";
    if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) return "the certificate is not of that CA";
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return "the certificate is for another key";
    const who = readIdentity(certificate, birth.cluster.id, () => false, null);
    if (isRefusal(who)) return `the certificate is refused: ${who.refused}`;
    return who.role === "member" && who.name === birth.node ? null : "the certificate is for another node";
  } catch {
    return "the certificates cannot be read";
  }
}
