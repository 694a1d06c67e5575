/** The cluster's certificates on the operator's machine. Issued once; what is there and sound is kept. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { readIfThere, writeDurably } from "@aether/cloud/local/durable-file";
import { deriveCa, type ClusterCa } from "@aether/node/identity/cluster-ca";
import { exit, Failure } from "../shell/failure.ts";

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  readonly clusterId: string;
  readonly folder: string;
  readonly ca: ClusterCa;
  /** Path. */
  readonly caFile: string;
}

const memberDays = 3650;
const personDays = 365;

export const caFile = (folder: string): string => join(folder, "ca.pem");
export const pairOf = (folder: string, name: string): KeyPair => ({
  certificate: join(folder, `${name}.pem`),
  key: join(folder, `${name}.key`),
});

/**
 * Derives the CA from the secret and keeps its certificate in the folder. Refuses a secret that is not the one the cluster was
 * made with: its certificates would be worth nothing to the running members.
 */
export async function openAuthority(folder: string, clusterId: string, clusterName: string, secret: string): Promise<Authority> {
  const ca = await deriveCa(secret, clusterName);
  const path = caFile(folder);
  const known = await readIfThere(path);
  if (known === null) await writeDurably(path, ca.certificate, 0o644);
  else if (publicKey(known) !== publicKey(ca.certificate)) {
    throw new Failure(
      exit.rejected,
      `the cluster secret is not the one that ${clusterName} was made with (its CA in ${path} has another key)`,
      "give the original secret, or destroy the cluster and bootstrap anew",
    );
  }
  return { clusterId, folder, ca, caFile: path };
}

const publicKey = (certificate: string): string =>
  new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" }).toString("hex");

export const issueMember = (authority: Authority, node: string): Promise<boolean> =>
  issue(authority, node, "member", ["127.0.0.1", "localhost"], memberDays);

/** The operator who bootstraps, and a viewer to hand out. */
export async function issuePeople(authority: Authority): Promise<boolean> {
  const operator = await issue(authority, "operator", "operator", [], personDays);
  const viewer = await issue(authority, "viewer", "viewer", [], personDays);
  return operator || viewer;
}

/** Issues a pair unless a sound one is there. Says whether it did. */
async function issue(
  authority: Authority,
  name: string,
  role: "member" | "operator" | "viewer",
  hosts: readonly string[],
  days: number,
): Promise<boolean> {
  const paths = pairOf(authority.folder, name);
  const [certificate, key] = [await readIfThere(paths.certificate), await readIfThere(paths.key)];
  if (certificate !== null && key !== null && isSound(certificate, key, authority)) return false;
  const issued = await authority.ca.issue({ clusterId: authority.clusterId, role, name, hosts, days });
  // The key first: a certificate without its key is what an interrupted run leaves, and it is then issued again.
  await writeDurably(paths.key, issued.key, 0o600);
  await writeDurably(paths.certificate, issued.certificate, 0o644);
  return true;
}

function isSound(certificate: string, key: string, authority: Authority): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    const ours = parsed.subjectAltName?.includes(`aether://${authority.clusterId}/`) === true;
    const signed = parsed.verify(new X509Certificate(authority.ca.certificate).publicKey);
    return ours && signed && parsed.checkPrivateKey(createPrivateKey(key)) && parsed.validToDate.getTime() > Date.now();
  } catch {
    return false;
  }
}
