/**
 * Certificates of the local provider, two files each: `<name>.pem`, chain and key together as proxies read them (0600), and `<name>.json`,
 * whose it is. The record is written last and removed last; a record without its PEM file is what an interrupted change leaves, and the
 * next `ensure` or `importPem` writes both anew.
 */
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { value as reveal } from "effect/Redacted";
import { domainsFault, isFresh, sameDomains, type CertificateIssuer, type SignedCertificate } from "../certificates/issuer.ts";
import { carries, labelFault } from "../labels.ts";
import type { Certificates, Labels, ManagedCertificate } from "../provider.ts";
import { call } from "./call.ts";
import { errnoOf, readIfThere, syncFolder, writeDurably } from "./durable-file.ts";
import { exclusively } from "./exclusive.ts";
import { fault } from "./failure.ts";
import { BadRecord } from "./registry.ts";

export interface LocalCertificateParts {
  readonly dir: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Without one, `ensure` is Unsupported. */
  readonly issuer?: CertificateIssuer | undefined;
}

interface CertificateRecord {
  readonly format: 1;
  /** "<name>.<8 hex digits>" */
  readonly ref: string;
  readonly name: string;
  readonly labels: Labels;
  /** PEM, the certificate first. */
  readonly chain: string;
}

const recordsMax = 1024;

export function makeLocalCertificates(parts: LocalCertificateParts): Certificates {
  const { dir } = parts;
  const ours = async (ref: string): Promise<CertificateRecord | null> => {
    const record = await readRecord(dir, ref.split(".")[0] ?? "");
    return record?.ref === ref ? record : null;
  };
  return {
    ensure: (name, domains, labels) => {
      const op = `ensure certificate ${name}`;
      return call(op, () => ensure(parts, op, { name, domains, labels }));
    },
    importPem: (name, pem, labels) => {
      const op = `import certificate ${name}`;
      return call(op, () => importPem(dir, op, name, pem, labels));
    },
    get: (ref) =>
      call(`certificate ${ref}`, async () => {
        const record = await ours(ref);
        if (record !== null) return describe(record);
        throw fault({ _tag: "NotFound", eventual: false, op: `certificate ${ref}`, message: `there is no certificate ${ref}` });
      }),
    list: (selector) =>
      call("list certificates", async () => {
        const wrong = labelFault(selector);
        if (wrong !== null) throw fault({ _tag: "Invalid", op: "list certificates", message: wrong });
        return (await readRecords(dir)).filter(({ labels }) => carries(labels, selector)).map(describe);
      }),
    delete: (ref) =>
      call(`delete certificate ${ref}`, async () => {
        // also looked for without the lock, so that a ref that cannot be one of ours is absent and not an invalid name
        if ((await ours(ref)) === null) return "absent";
        return exclusively(dir, ref.split(".")[0] ?? "", "delete", async () => {
          const record = await ours(ref);
          if (record === null) return "absent";
          await rm(pemPath(dir, record.name), { force: true });
          await syncFolder(dir);
          await rm(recordPath(dir, record.name), { force: true });
          await syncFolder(dir);
          return "deleted";
        });
      }),
  };
}

interface Wish {
  readonly name: string;
  readonly domains: readonly string[];
  readonly labels: Labels;
}

async function ensure(parts: LocalCertificateParts, op: string, { name, domains, labels }: Wish): Promise<ManagedCertificate> {
  const wrong = labelFault(labels) ?? domainsFault(domains);
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
  return exclusively(parts.dir, name, "ensure", async () => {
    const known = await wholeRecord(parts.dir, name);
    if (known !== null) {
      const { domains: had, ...life } = lifeOf(known.chain);
      if (!sameDomains(had, domains)) throw taken(op, `${name} is for ${had.join(", ")}`);
      if (isFresh(life, parts.now())) return describe(known);
      if (!carries(known.labels, labels)) throw taken(op, `${name} is about to end and is not ours to replace`);
    }
    const why = "without the cluster secret there is no cluster CA to sign a certificate; import one instead";
    const signed = parts.issuer === undefined ? { why } : await parts.issuer.issue(domains);
    if ("why" in signed) throw fault({ _tag: "Unsupported", capability: "certificates", op, message: signed.why });
    return keep(parts.dir, name, signed, labels);
  });
}

async function importPem(
  dir: string,
  op: string,
  name: string,
  pem: SignedCertificate,
  labels: Labels,
): Promise<ManagedCertificate> {
  const wrong = labelFault(labels) ?? pemFault(pem);
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
  return exclusively(dir, name, "import", async () => {
    const known = await wholeRecord(dir, name);
    if (known === null) return keep(dir, name, pem, labels);
    if (known.chain.trim() === pem.chain.trim()) return describe(known);
    throw taken(op, `${name} is there with another chain`);
  });
}

async function keep(dir: string, name: string, { chain, key }: SignedCertificate, labels: Labels): Promise<ManagedCertificate> {
  const record: CertificateRecord = { format: 1, ref: `${name}.${randomBytes(4).toString("hex")}`, name, labels, chain };
  await writeDurably(pemPath(dir, name), `${chain.trim()}\n${reveal(key).trim()}\n`, 0o600);
  await writeDurably(recordPath(dir, name), `${JSON.stringify(record, null, 2)}\n`, 0o600);
  return describe(record);
}

/** What is wrong with it, in words that hold nothing of it, or null. */
function pemFault({ chain, key }: SignedCertificate): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(chain);
  } catch {
    return "the chain does not begin with a certificate in PEM";
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(reveal(key)))) return "the key is not the certificate's";
  } catch {
    return "the key is no private key in PEM, or has a passphrase";
  }
  return domainsOf(certificate).length === 0 ? "the certificate is for no DNS name" : null;
}

function lifeOf(chain: string) {
  const certificate = new X509Certificate(chain);
  const [notBefore, notAfter] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  return { domains: domainsOf(certificate), notBefore, notAfter };
}

const domainsOf = ({ subjectAltName = "" }: X509Certificate): readonly string[] =>
  subjectAltName.split(", ").flatMap((name) => (name.startsWith("DNS:") ? [name.slice("DNS:".length)] : []));

function describe({ ref, name, chain }: CertificateRecord): ManagedCertificate {
  const { domains, notAfter } = lifeOf(chain);
  return { ref, name, domains, state: "ready", notAfter };
}

const taken = (op: string, what: string) =>
  fault({ _tag: "Conflict", kind: "exists", op, message: `the certificate ${what}; give the new one another name` });

const recordPath = (dir: string, name: string): string => join(dir, `${name}.json`);
const pemPath = (dir: string, name: string): string => join(dir, `${name}.pem`);

/** Null also for a record whose PEM file is gone. */
async function wholeRecord(dir: string, name: string): Promise<CertificateRecord | null> {
  const record = await readRecord(dir, name);
  if (record === null) return null;
  const { chain } = record;
  // The PEM file of a change that was cut off before its record was written is another certificate's.
  return (await readIfThere(pemPath(dir, name)))?.startsWith(`${chain.trim()}\n`) === true ? record : null;
}

async function readRecord(dir: string, name: string): Promise<CertificateRecord | null> {
  if (!/^[a-z0-9-]+$/.test(name)) return null;
  const path = recordPath(dir, name);
  const text = await readIfThere(path);
  if (text === null) return null;
  const record = recordIn(text);
  if (record?.name === name) return record;
  throw new BadRecord(`${path} is not a certificate's record: ${text.length} bytes that this version does not understand`);
}

async function readRecords(dir: string): Promise<readonly CertificateRecord[]> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith(".json") && !name.startsWith(".")).toSorted();
  if (files.length > recordsMax) throw new BadRecord(`${dir} holds ${files.length} records, at most ${recordsMax} are expected`);
  const all: CertificateRecord[] = [];
  for (const file of files) {
    const record = await readRecord(dir, file.slice(0, -".json".length));
    if (record !== null) all.push(record);
  }
  return all;
}

function recordIn(text: string): CertificateRecord | null {
  try {
    const { format, ref, name, labels, chain } = JSON.parse(text) as Partial<CertificateRecord>;
    if (format !== 1 || typeof ref !== "string" || typeof name !== "string" || typeof chain !== "string") return null;
    if (typeof labels !== "object" || labelFault(labels) !== null) return null;
    lifeOf(chain);
    return { format, ref, name, labels, chain };
  } catch {
    return null;
  }
}
