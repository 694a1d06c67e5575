import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { identityUri, readIdentity } from "./certificate-identity.ts";
import { deriveCa, type IssueRequest } from "./cluster-ca.ts";

const clusterId = "0123456789abcdef0123456789abcdef";
const n1: IssueRequest = { clusterId, role: "member", name: "n1", hosts: ["127.0.0.1", "::1", "n1.example"], days: 30 };
const secret = "a secret nobody would guess";

const key = (pem: string): string => new X509Certificate(pem).publicKey.export({ format: "jwk" }).x as string;

describe("the cluster CA", () => {
  it("is the same authority wherever the secret is, and another one for another secret or cluster", async () => {
    const [here, there, other, otherCluster] = await Promise.all([
      deriveCa(secret, "prod"),
      deriveCa(secret, "prod"),
      deriveCa(`${secret}!`, "prod"),
      deriveCa(secret, "test"),
    ]);
    expect(key(there.certificate)).toBe(key(here.certificate));
    expect(key(other.certificate)).not.toBe(key(here.certificate));
    expect(key(otherCluster.certificate)).not.toBe(key(here.certificate));
    const leaf = new X509Certificate((await here.issue(n1)).certificate);
    expect(leaf.verify(new X509Certificate(there.certificate).publicKey)).toBe(true);
    expect(leaf.verify(new X509Certificate(other.certificate).publicKey)).toBe(false);
    expect(leaf.checkIssued(new X509Certificate(there.certificate))).toBe(true);
    // A certificate anybody can recompute: what it holds may never depend on the machine or the day.
    const { serialNumber, subject, validTo } = new X509Certificate(here.certificate);
    const again = new X509Certificate(there.certificate);
    expect([again.serialNumber, again.subject, again.validTo]).toEqual([serialNumber, subject, validTo]);
  });

  it("computes the key by the published rule", async () => {
    // HKDF-SHA256("s", "aether/ca/v1", "c", 48 bytes) mod (n-1) + 1, computed apart from this code with Python's
    // hmac module and the P-256 base point multiplied by hand; x coordinate of the public key.
    const jwk = new X509Certificate((await deriveCa("s", "c")).certificate).publicKey.export({ format: "jwk" });
    expect(Buffer.from(jwk.x as string, "base64url").toString("hex")).toBe(
      "24a3dde0d672c88e7504eb6967ac7492f7e3e007f48e56f6a7526ddbbd0a9de8",
    );
  });

  it("issues a leaf that says who its holder is and for how long", async () => {
    const ca = await deriveCa(secret, "prod");
    const issued = await ca.issue(n1);
    const leaf = new X509Certificate(issued.certificate);
    expect(leaf.subjectAltName).toBe(
      `URI:${identityUri(clusterId, "member", "n1")}, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:n1.example`,
    );
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage?.toSorted()).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    const now = Date.now();
    expect(now - leaf.validFromDate.getTime()).toBeGreaterThan(3_590_000);
    expect(leaf.validToDate.getTime() - now).toBeGreaterThan(29.9 * 86_400_000);
    expect(readIdentity(leaf, clusterId, () => false, now)).toMatchObject({ role: "member", name: "n1", clusterId });
    expect(readIdentity(leaf, clusterId, () => false, now + 31 * 86_400_000)).toMatchObject({ refused: "expired" });
    expect(readIdentity(leaf, clusterId, () => true, now)).toMatchObject({ refused: "revoked" });
    expect(readIdentity(leaf, "f".repeat(32), () => false, now)).toMatchObject({ refused: "wrongCluster" });
    const second = new X509Certificate((await ca.issue(n1)).certificate);
    expect(second.serialNumber).not.toBe(leaf.serialNumber);
  });

  it("refuses to write nonsense into a certificate", async () => {
    const ca = await deriveCa(secret, "prod");
    const nonsense: Partial<IssueRequest>[] = [
      { name: "a/b" },
      { name: "" },
      { name: "x, URI:aether://y" },
      { clusterId: "abc" },
      { hosts: ["a b"] },
      { hosts: ["*"] },
      { days: 0 },
      { days: 1e9 },
    ];
    for (const wrong of nonsense) await expect(ca.issue({ ...n1, ...wrong })).rejects.toThrow(RangeError);
    await expect(deriveCa("", "prod")).rejects.toThrow(RangeError);
  });

  it("does not read a certificate that is vague about its holder", async () => {
    const ca = await deriveCa(secret, "prod");
    const viewer = new X509Certificate((await ca.issue({ ...n1, role: "viewer", hosts: [] })).certificate);
    const saying = (subjectAltName: string): X509Certificate =>
      Object.create(viewer, { subjectAltName: { value: subjectAltName } }) as X509Certificate;
    const read = (san: string): unknown => readIdentity(saying(san), clusterId, () => false, null);
    const mine = identityUri(clusterId, "viewer", "v");
    expect(read("DNS:n1.example")).toMatchObject({ refused: "malformed" });
    expect(read(`URI:${mine}, URI:${identityUri(clusterId, "member", "v")}`)).toMatchObject({ refused: "malformed" });
    expect(read(`URI:${mine}, DNS:"x, URI:y"`)).toMatchObject({ refused: "malformed" });
    expect(read(`URI:${mine}/more`)).toMatchObject({ refused: "malformed" });
    expect(read(`URI:aether://${clusterId}/root/v`)).toMatchObject({ refused: "unknownRole" });
    expect(read(`URI:aether://short/viewer/v`)).toMatchObject({ refused: "malformed" });
  });

  const openssl = spawnSync("openssl", ["version"]).status === 0;
  it.skipIf(!openssl)("is accepted by openssl (skipped where there is no openssl binary)", async () => {
    const dir = mkdtempSync(join(tmpdir(), "aether-ca-"));
    try {
      const ca = await deriveCa(secret, "prod");
      const issued = await ca.issue(n1);
      writeFileSync(join(dir, "ca.pem"), ca.certificate);
      writeFileSync(join(dir, "leaf.pem"), issued.certificate);
      const run = (...args: string[]): string => execFileSync("openssl", args, { cwd: dir, encoding: "utf8" });
      for (const purpose of ["sslserver", "sslclient"]) {
        expect(run("verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "leaf.pem")).toContain("leaf.pem: OK");
      }
      const text = run("x509", "-in", "leaf.pem", "-noout", "-text");
      expect(text).toContain(`URI:aether://${clusterId}/member/n1`);
      expect(text).toContain("TLS Web Client Authentication, TLS Web Server Authentication");
      expect(text).toContain("CN = n1");
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
