import { describe, expect, it } from "vitest";
import { deriveCa } from "./cluster-ca.ts";
import { sign, verify } from "./signing.ts";

const clusterId = "c".repeat(32);

const why = (certificate: string, authority: string, said: Uint8Array, by: string): string => {
  const verdict = verify(certificate, authority, said, by);
  return verdict.ok ? "ok" : verdict.why;
};

describe("signatures", () => {
  it("prove that a member of this cluster said exactly these bytes", async () => {
    const ca = await deriveCa("the secret", "prod");
    const other = await deriveCa("another secret", "prod");
    const request = { clusterId, name: "n1", hosts: [], days: 1 };
    const member = await ca.issue({ ...request, role: "member" });
    const viewer = await ca.issue({ ...request, role: "viewer" });
    const bytes = Buffer.from("checkpoint 4000");
    const signature = sign(member.key, bytes);
    expect(verify(member.certificate, ca.certificate, bytes, signature)).toMatchObject({
      ok: true,
      signer: { name: "n1", clusterId },
    });
    expect(why(member.certificate, ca.certificate, Buffer.from("checkpoint 4001"), signature)).toBe("badSignature");
    expect(why(member.certificate, other.certificate, bytes, signature)).toBe("foreignCa");
    expect(why(viewer.certificate, ca.certificate, bytes, sign(viewer.key, bytes))).toBe("notMember");
    expect(why(member.certificate, ca.certificate, bytes, sign(viewer.key, bytes))).toBe("badSignature");
    expect(why(member.certificate, ca.certificate, bytes, "")).toBe("badSignature");
    expect(why(member.certificate, ca.certificate, bytes, "AAAA")).toBe("badSignature");
    expect(why("junk", ca.certificate, bytes, signature)).toBe("badCertificate");
    // A leaf is no authority, even for itself.
    expect(why(member.certificate, member.certificate, bytes, signature)).toBe("foreignCa");
  });
});
