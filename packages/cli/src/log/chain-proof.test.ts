import { beforeAll, describe, expect, it } from "vitest";
import { chainGenesis, chainNext } from "@aether/store/events/audit-chain";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { checkpointStatement } from "@aether/node/controllers/checkpoint";
import { deriveCa, type IssuedCertificate } from "@aether/node/identity/cluster-ca";
import { sign } from "@aether/node/identity/signing";
import type { AuditAnswer } from "../context/api.ts";
import { ChainProof, type Disproof } from "./chain-proof.ts";

const clusterId = "0123456789abcdef0123456789abcdef";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

interface Written {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly data: Uint8Array;
}

const entry = (index: number, events: readonly { type: string; v: number; id: string; [field: string]: unknown }[]): Written => ({
  index,
  term: 2,
  kind: 0,
  data: encodeEntry({ at: index, actor: { name: "n1", role: "member" }, cause: "test", request: null, events }),
});

/** The chain's digest before the first and after each entry. */
function digests(log: readonly Written[]): readonly string[] {
  const chain: Uint8Array[] = [chainGenesis];
  for (const { index, term, kind, data } of log) chain.push(chainNext(chain.at(-1) ?? chainGenesis, index, term, kind, data));
  return chain.map(hex);
}

/** A page as a member answers it: what it holds now, and the digests that it recorded when it applied them. */
function page(log: readonly Written[], recorded: readonly string[], from: number, to: number): AuditAnswer {
  const entries = log.slice(from - 1, to).map((one) => ({ ...one, data: Buffer.from(one.data).toString("base64") }));
  return { index: to, from, to, before: recorded[from - 1] ?? "", after: recorded[to] ?? "", entries };
}

describe("the proof of a log", () => {
  let ca: string;
  let member: IssuedCertificate;
  let operator: IssuedCertificate;
  let foreign: IssuedCertificate;
  const plain = Array.from({ length: 6 }, (_, at) => entry(at + 1, [{ type: "SettingChanged", v: 1, id: "a", value: at }]));

  beforeAll(async () => {
    const own = await deriveCa("a secret of this test", "proof");
    const other = await deriveCa("a secret of someone else", "proof");
    const who = { clusterId, hosts: [], days: 1, name: "n1" } as const;
    ca = own.certificate;
    member = await own.issue({ ...who, role: "member" });
    operator = await own.issue({ ...who, role: "operator" });
    foreign = await other.issue({ ...who, role: "member" });
  });

  /** The log with a checkpoint of everything before it as its last entry. */
  const signedLog = (by: IssuedCertificate, chain = digests(plain).at(-1) ?? ""): readonly Written[] => {
    const facts = { clusterId, upTo: plain.length, chain, state: "00".repeat(32), signer: "n1" };
    const signature = sign(by.key, checkpointStatement(facts));
    const recorded = { ...facts, certificate: by.certificate, signature };
    return [...plain, entry(plain.length + 1, [{ type: "CheckpointRecorded", v: 1, id: "proof", ...recorded }])];
  };
  const prove = (...pages: readonly AuditAnswer[]) => {
    const proof = new ChainProof(clusterId, ca);
    for (const one of pages) {
      const wrong = proof.add(one);
      if (wrong !== null) return wrong;
    }
    return proof.result();
  };

  it("holds over an untouched log, in one page or in many", () => {
    const recorded = digests(plain);
    const whole = prove(page(plain, recorded, 1, 6));
    expect(whole).toMatchObject({
      verified: true,
      from: 1,
      to: 6,
      entries: 6,
      chain: recorded[6],
      checkpoints: 0,
      signedUpTo: null,
    });
    expect(prove(page(plain, recorded, 1, 2), page(plain, recorded, 3, 5), page(plain, recorded, 6, 6))).toEqual(whole);
    expect(prove(page(plain, recorded, 4, 6))).toMatchObject({ verified: true, from: 4, entries: 3 });
  });

  it.each([
    [
      "a changed byte",
      (log: readonly Written[]) => log.with(2, { ...entry(3, [{ type: "SettingChanged", v: 1, id: "a", value: 99 }]) }),
    ],
    ["a changed term", (log: readonly Written[]) => log.with(2, { ...(log[2] as Written), term: 3 })],
    ["a changed kind", (log: readonly Written[]) => log.with(2, { ...(log[2] as Written), kind: 2 })],
    ["two entries in each other's place", (log: readonly Written[]) => log.with(2, log[3] as Written).with(3, log[2] as Written)],
    ["an entry that is gone", (log: readonly Written[]) => [...log.slice(0, 2), ...log.slice(3)]],
  ])("fails over %s, whatever the member recorded", (_, tamper) => {
    const recorded = digests(plain);
    const tampered = tamper(plain);
    expect(prove(page(tampered, recorded, 1, 6))).toMatchObject({ verified: false });
  });

  it("fails where two pages do not belong together, and where the beginning is not the beginning", () => {
    const recorded = digests(plain);
    const rewritten = digests(plain.with(0, entry(1, [{ type: "SettingChanged", v: 1, id: "b", value: 0 }])));
    expect(prove(page(plain, recorded, 1, 3), page(plain, rewritten, 4, 6))).toMatchObject({ verified: false, index: 4 });
    expect(prove({ ...page(plain, recorded, 1, 3), before: recorded[3] ?? "" })).toMatchObject({ verified: false, index: 1 });
  });

  it("counts a member's signature, and how far it reaches", () => {
    const log = signedLog(member);
    expect(prove(page(log, digests(log), 1, 7))).toMatchObject({ verified: true, checkpoints: 1, signedUpTo: 6 });
  });

  it("catches who rewrote the log and every digest in it, by the signature over what was there before", () => {
    const rewritten = [entry(1, [{ type: "SettingChanged", v: 1, id: "a", value: "forged" }]), ...signedLog(member).slice(1)];
    const wrong = prove(page(rewritten, digests(rewritten), 1, 7)) as Disproof;
    expect(wrong).toMatchObject({ verified: false, index: 6, why: expect.stringContaining("n1 signed") });
  });

  it("accepts no signature of an operator or of another CA", () => {
    for (const by of [operator, foreign]) {
      const log = signedLog(by);
      expect(prove(page(log, digests(log), 1, 7))).toMatchObject({
        verified: false,
        index: 7,
        why: expect.stringContaining("not a member's"),
      });
    }
  });

  describe("of a cluster that was recovered", () => {
    const newId = "f".repeat(32);
    const recoveredFrom = (log: readonly Written[], chain = digests(log).at(-1) ?? ""): readonly Written[] => {
      const facts = { from: "n2", oldClusterId: clusterId, clusterId: newId, member: 4, upTo: log.length, chain };
      return [...log, entry(log.length + 1, [{ type: "ClusterRecovered", v: 1, id: "proof", ...facts }])];
    };
    const proveAs = (id: string, log: readonly Written[], upTo: number | null) => {
      const proof = new ChainProof(id, ca, upTo === null ? [] : [{ clusterId, upTo }]);
      return proof.add(page(log, digests(log), 1, log.length)) ?? proof.result();
    };

    it("counts the old cluster's signatures up to where it ended, and from there on its own only", () => {
      const log = recoveredFrom(signedLog(member));
      expect(proveAs(newId, log, 7)).toMatchObject({ verified: true, checkpoints: 1, signedUpTo: 6, foreign: 0 });
      expect(proveAs(newId, log, null)).toMatchObject({ verified: false, index: 7 });
      const late = [
        ...recoveredFrom(plain),
        ...signedLog(member)
          .slice(-1)
          .map((one) => ({ ...one, index: 8 })),
      ];
      expect(proveAs(newId, late, 6)).toMatchObject({ verified: false, index: 8 });
    });

    it("counts nothing of an old cluster that had another secret, and says how much that is", () => {
      const log = recoveredFrom(signedLog(foreign));
      expect(proveAs(newId, log, 7)).toMatchObject({ verified: true, checkpoints: 0, signedUpTo: null, foreign: 1 });
    });

    it("fails when the log before the recovery is not the one that was recovered", () => {
      const log = recoveredFrom(plain, "0".repeat(64));
      expect(proveAs(newId, log, 6)).toMatchObject({ verified: false, index: 6, why: expect.stringContaining("recovered with") });
    });
  });
});
