import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Command } from "@aether/core/kernel/command";
import { makeRegistry } from "@aether/core/kernel/registry";
import type { Answer, EventStore, Submission } from "@aether/store/types";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { clientTls, type TlsMaterial } from "../identity/tls.ts";
import { openFrontDoor } from "./front-door.ts";
import type { Gateway } from "./gateway.ts";
import { makeLeaderLink } from "./leader-link.ts";
import { makeUpgrades } from "./upgrades.ts";

const clusterId = "00112233445566778899aabbccddeeff";
const registry = makeRegistry([
  {
    name: "setting",
    events: [],
    commands: [{ type: "SetSetting", roles: ["operator"], parse: (x) => x as Command, decide: () => ({ events: [] }) }],
    evolve: (row) => row,
  },
]);
const submission = (id: string): Submission => ({
  command: { type: "SetSetting", id, value: 1 },
  actor: { name: "ops", role: "operator" },
  request: { client: "operator:ops", id: `k-${id}` },
});
const ok: Answer = { ok: true, index: 12, version: 3, changed: true, replayed: false, answer: { member: 9 } };

const ask = (
  link: { submit: (m: number, s: Submission, f: (a: Answer) => void) => void },
  s: Submission,
  to = 1,
): Promise<Answer> => new Promise((resolve) => link.submit(to, s, resolve));
const until = async (what: () => boolean): Promise<void> => {
  for (let n = 0; n < 400 && !what(); n++) await new Promise((resume) => setTimeout(resume, 5));
  expect(what()).toBe(true);
};

describe("a follower's link to the leader", () => {
  let ca: ClusterCa;
  const cleanups: (() => void | Promise<void>)[] = [];
  const material = async (name: string): Promise<TlsMaterial> => ({
    ca: ca.certificate,
    ...(await ca.issue({ clusterId, role: "member", name, hosts: ["127.0.0.1"], days: 1 })),
  });
  /** A leader that holds what it is asked until the test answers. */
  const leader = async () => {
    const held: { s: Submission; done: (a: Answer) => void }[] = [];
    const gateway = { submit: (s: Submission, done: (a: Answer) => void) => void held.push({ s, done }) } as unknown as Gateway;
    const upgrades = makeUpgrades();
    const store = {} as EventStore;
    const door = await openFrontDoor({
      host: "127.0.0.1",
      port: 0,
      tls: await material("n1"),
      clusterId,
      onRefused: () => undefined,
      onRequest: (_req, res) => void res.end(),
      onUpgrade: (req, socket, head, call) =>
        upgrades.stream(req, socket, head, call, {
          node: "n1",
          store,
          gateway,
          registry,
          leader: () => null,
          onDenied: () => undefined,
        }),
    });
    cleanups.push(() => door.close());
    const link = makeLeaderLink({
      tls: clientTls(await material("n2"), { clusterId }),
      addressOf: (member) => (member === 1 ? `127.0.0.1:${door.port}` : undefined),
    });
    cleanups.push(() => link.close());
    return { held, link, door, upgrades };
  };
  beforeAll(async () => {
    ca = await deriveCa("secret", "test");
  });
  afterEach(async () => {
    for (const clean of cleanups.splice(0).toReversed()) await clean();
  });

  it("hands on command, caller and request id, and brings back each its answer", async () => {
    const t = await leader();
    const [a, b] = [ask(t.link, submission("a")), ask(t.link, submission("b"))];
    await until(() => t.held.length === 2);
    expect(t.held[0]?.s).toEqual(submission("a"));
    t.held[1]?.done({ ok: false, rejection: { rejected: true, reason: "stale", message: "m", hint: "h" }, leader: 1 });
    t.held[0]?.done(ok);
    expect(await a).toEqual(ok);
    expect(await b).toEqual({ ok: false, rejection: { rejected: true, reason: "stale", message: "m", hint: "h" }, leader: 1 });
  });

  it("says `ambiguous` for what was on its way when the connection broke, and dials again for the next", async () => {
    const t = await leader();
    const lost = ask(t.link, submission("a"));
    await until(() => t.held.length === 1);
    t.upgrades.close();
    expect(await lost).toMatchObject({ ok: false, rejection: { reason: "ambiguous" } });
    const next = ask(t.link, submission("b"));
    await until(() => t.held.length === 2);
    t.held[1]?.done(ok);
    expect(await next).toEqual(ok);
  });

  it("says `no_leader` when nothing can have been sent: unknown address, or nobody listens there", async () => {
    const t = await leader();
    expect(await ask(t.link, submission("a"), 7)).toMatchObject({ ok: false, rejection: { reason: "no_leader" } });
    await t.door.close();
    expect(await ask(t.link, submission("a"))).toMatchObject({ ok: false, rejection: { reason: "no_leader" } });
  });
});
