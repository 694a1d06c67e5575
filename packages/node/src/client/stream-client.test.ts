import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import type { Registry } from "@aether/core/kernel/registry";
import type { Answer, EventStore, Submission } from "@aether/store/types";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { guardServer, identityOf } from "../identity/guard.ts";
import { clientTls, serverTls, type ClientTlsOptions, type TlsMaterial } from "../identity/tls.ts";
import type { Gateway } from "../server/gateway.ts";
import { openStreamSession } from "../server/stream-session.ts";
import {
  openStreamClient,
  type StreamAnswer,
  type StreamClient,
  type StreamClientOptions,
  type StreamRead,
} from "./stream-client.ts";

const clusterId = "a".repeat(32);
let ca: ClusterCa;
let operator: ClientTlsOptions;
beforeAll(async () => {
  ca = await deriveCa("the cluster secret", "prod");
  operator = clientTls(await material("olga", "operator"), { clusterId });
});
async function material(name: string, role: "member" | "operator" | "agent"): Promise<TlsMaterial> {
  return { ca: ca.certificate, ...(await ca.issue({ clusterId, role, name, hosts: [], days: 1 })) };
}

const cleanup: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

/** What all members of the little cluster in these tests share: the answers remembered by request id, and a counter. */
interface Ledger {
  readonly remembered: Map<string, Answer>;
  done: number;
}
interface Member {
  readonly address: string;
  readonly port: number;
  readonly asked: Submission[];
  /** Messages that came in. */
  readonly messages: () => number;
  kill(): Promise<void>;
}
interface MemberOptions {
  readonly name: string;
  readonly ledger: Ledger;
  readonly leader?: () => { readonly node: string; readonly address: string } | null;
  /** Answers in the gateway's place; undefined lets it do its work. */
  readonly meddle?: (s: Submission) => Rejection | "silence" | "doneButSilent" | undefined;
  readonly port?: number;
}

const anyCommand = (type: string) => ({
  type,
  roles: ["operator"] as const,
  parse: (input: unknown) => input as Command,
  decide: () => ({ events: [] }),
});
const registry = { command: (type: string) => (type === "SetSetting" ? anyCommand(type) : undefined) } as unknown as Registry;

/** A member whose stream session is the real one, over a gateway that remembers request ids like the store does. */
async function start(o: MemberOptions): Promise<Member> {
  const asked: Submission[] = [];
  const work = (s: Submission): Answer => {
    const key = s.request === null ? null : `${s.request.client} ${s.request.id}`;
    const known = key === null ? undefined : o.ledger.remembered.get(key);
    if (known?.ok === true) return { ...known, replayed: true };
    o.ledger.done += 1;
    const answer: Answer = { ok: true, index: o.ledger.done, version: 1, changed: true, replayed: false };
    if (key !== null) o.ledger.remembered.set(key, answer);
    return answer;
  };
  const gateway: Pick<Gateway, "submit" | "barrier"> = {
    submit: (s, done) => {
      asked.push(s);
      const meddled = o.meddle?.(s);
      if (meddled === "silence") return;
      if (typeof meddled === "object") return done({ ok: false, rejection: meddled, leader: 0 });
      const answer = work(s);
      if (meddled === undefined) setImmediate(() => done(answer));
    },
    barrier: () => Promise.resolve(o.ledger.done),
  };
  const stored = { id: "k", version: 3, index: 9, at: 1, row: { value: 1 } };
  const store = {
    world: { get: (noun: string, id: string) => (`${noun}/${id}` === "setting/k" ? stored : undefined) },
  } as unknown as EventStore;
  let messages = 0;
  const sockets = new Set<WebSocket>();
  const wss = new WebSocketServer({ noServer: true, maxPayload: 8 * 1024 * 1024, perMessageDeflate: false });
  const server: Server = createServer(serverTls(await material(o.name, "member")));
  guardServer(server, { clusterId, isRevoked: () => false, onRefused: () => undefined });
  server.on("upgrade", (request, socket, head) => {
    const who = identityOf(request.socket);
    if (who.role === "agent") {
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => {
      sockets.add(ws);
      const leader = o.leader ?? (() => null);
      const session = openStreamSession(ws, who, {
        node: o.name,
        store,
        gateway: gateway as Gateway,
        registry,
        leader,
        onDenied: () => undefined,
      });
      ws.on("message", (data: Buffer) => {
        messages += 1;
        session.onMessage(data);
      });
      ws.on("error", () => ws.terminate());
    });
  });
  server.listen(o.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  let killed = false;
  const kill = async (): Promise<void> => {
    if (killed) return;
    killed = true;
    for (const ws of sockets) ws.terminate();
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  cleanup.push(kill);
  return { address: `127.0.0.1:${port}`, port, asked, messages: () => messages, kill };
}

const newLedger = (): Ledger => ({ remembered: new Map(), done: 0 });
function open(o: Partial<StreamClientOptions> & Pick<StreamClientOptions, "endpoints">): StreamClient {
  const client = openStreamClient({ tls: operator, ...o });
  cleanup.push(() => client.close());
  return client;
}
const setting = (id: string): Command => ({ type: "SetSetting", id, value: 1 });
const submit = (c: StreamClient, id: string, request: string | null): Promise<StreamAnswer> =>
  new Promise((resolve) => c.submit(setting(id), request, resolve));
const get = (c: StreamClient, id: string): Promise<StreamRead> => new Promise((resolve) => c.get("setting", id, resolve));
const reasonOf = (a: StreamAnswer | StreamRead): string => (a.ok ? "ok" : a.rejection.reason);

describe("the stream client", () => {
  it("has a thousand commands in flight and packs them into few messages", async () => {
    const ledger = newLedger();
    const member = await start({ name: "n1", ledger });
    const client = open({ endpoints: [member.address] });
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => submit(client, `k${i}`, `r${i}`)));
    expect(answers.map((a) => (a.ok ? a.index : 0))).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
    expect(member.messages()).toBeLessThan(10);
    expect(member.asked[7]).toMatchObject({
      command: setting("k7"),
      actor: { name: "olga", role: "operator" },
      request: { id: "r7" },
    });
    expect(client.inFlight).toBe(0);
  });

  it("reads one thing, and says so when there is none", async () => {
    const client = open({ endpoints: [(await start({ name: "n1", ledger: newLedger() })).address] });
    expect(await get(client, "k")).toEqual({
      ok: true,
      stored: { id: "k", version: 3, index: 9, at: 1, row: { value: 1 } },
      index: 0,
    });
    expect(await get(client, "none")).toMatchObject({ ok: true, stored: null });
  });

  it("goes over to the leader that the first member names, and stays when the leader cannot be reached", async () => {
    const ledger = newLedger();
    const leader = await start({ name: "n2", ledger, leader: () => ({ node: "n2", address: "elsewhere:1" }) });
    const follower = await start({ name: "n1", ledger, leader: () => ({ node: "n2", address: leader.address }) });
    const client = open({ endpoints: [follower.address] });
    expect(reasonOf(await submit(client, "k", "r"))).toBe("ok");
    expect([follower.asked.length, leader.asked.length, client.connects]).toEqual([0, 1, 1]);
    const lost = await start({ name: "n3", ledger, leader: () => ({ node: "n2", address: "127.0.0.1:1" }) });
    expect(reasonOf(await submit(open({ endpoints: [lost.address] }), "k", "s"))).toBe("ok");
    expect(lost.asked).toHaveLength(1);
  });

  it("asks again elsewhere, with the same request id, what a dead member left unanswered: done once, answered once", async () => {
    const ledger = newLedger();
    const dying = await start({
      name: "n1",
      ledger,
      meddle: (s) => (Number(s.command.id) % 2 === 0 ? "doneButSilent" : "silence"),
    });
    const other = await start({ name: "n2", ledger });
    const client = open({ endpoints: [dying.address, other.address] });
    let calls = 0;
    const answers = Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const answer = await submit(client, String(i), `r${i}`);
        calls += 1;
        return answer;
      }),
    );
    const once100 = async (): Promise<void> => {
      while (dying.asked.length < 100) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await once100();
    await dying.kill();
    const settled = await answers;
    expect(settled.every((a) => a.ok)).toBe(true);
    expect(settled.map((a) => a.ok && a.replayed)).toEqual(Array.from({ length: 100 }, (_, i) => i % 2 === 0));
    expect([ledger.done, calls, client.connects]).toEqual([100, 100, 2]);
  });

  it("does not repeat a command without a request id: its fate is unknown and it says so", async () => {
    const ledger = newLedger();
    const dying = await start({ name: "n1", ledger, meddle: () => "doneButSilent" });
    const other = await start({ name: "n2", ledger });
    const client = open({ endpoints: [dying.address, other.address] });
    const answer = submit(client, "k", null);
    while (dying.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await dying.kill();
    expect(reasonOf(await answer)).toBe("ambiguous");
    expect([ledger.done, other.asked.length]).toEqual([1, 0]);
  });

  it("waits out an election, and passes on every other refusal at once", async () => {
    const ledger = newLedger();
    let elections = 5;
    const meddle = (s: Submission): Rejection | undefined => {
      if (s.command.id === "stale") return reject("stale", "version 2, not 1", "read again");
      elections -= 1;
      return elections >= 0 ? reject("no_leader", "no leader is known at the moment", "") : undefined;
    };
    const member = await start({ name: "n1", ledger, meddle });
    const client = open({ endpoints: [member.address] });
    expect(await submit(client, "stale", "r1")).toMatchObject({ ok: false, rejection: { reason: "stale", hint: "read again" } });
    expect(reasonOf(await submit(client, "k", null))).toBe("ok");
    expect([ledger.done, client.connects]).toEqual([1, 1]);
  });

  it("leaves a member that keeps refusing for another one", async () => {
    const ledger = newLedger();
    const cutOff = await start({ name: "n1", ledger, meddle: () => reject("no_leader", "cut off", "") });
    const other = await start({ name: "n2", ledger });
    const client = open({ endpoints: [cutOff.address, other.address] });
    expect(reasonOf(await submit(client, "k", "r"))).toBe("ok");
    expect(other.asked).toHaveLength(1);
  });

  it("comes back by itself when the only member restarts", async () => {
    const ledger = newLedger();
    const first = await start({ name: "n1", ledger });
    const client = open({ endpoints: [first.address] });
    expect(reasonOf(await submit(client, "a", "r1"))).toBe("ok");
    await first.kill();
    const waiting = submit(client, "b", "r2");
    await start({ name: "n1", ledger, port: first.port });
    expect(reasonOf(await waiting)).toBe("ok");
  });

  it("keeps its deadline and its limit, and tells unknown from not done", async () => {
    const ledger = newLedger();
    const silent = await start({ name: "n1", ledger, meddle: () => "silence" });
    const client = open({ endpoints: [silent.address], deadlineMs: 300, inFlightMax: 2 });
    const before = performance.now();
    const first = submit(client, "a", "r1");
    const second = submit(client, "b", null);
    expect(reasonOf(await submit(client, "c", "r3"))).toBe("too_many");
    expect([reasonOf(await first), reasonOf(await second)]).toEqual(["ambiguous", "ambiguous"]);
    expect(performance.now() - before).toBeLessThan(1_500);
    const nobody = open({ endpoints: ["127.0.0.1:1"], deadlineMs: 300 });
    expect(await submit(nobody, "a", "r1")).toMatchObject({
      ok: false,
      rejection: { reason: "deadline", message: expect.stringMatching(/ECONNREFUSED/) },
    });
    expect(reasonOf(await get(nobody, "k"))).toBe("deadline");
  });

  it("says at once that its certificate opens no stream, and that a command is larger than any message", async () => {
    const ledger = newLedger();
    const member = await start({ name: "n1", ledger });
    const agent = open({ endpoints: [member.address], tls: clientTls(await material("a1", "agent"), { clusterId }) });
    expect(reasonOf(await submit(agent, "k", "r"))).toBe("forbidden");
    expect(reasonOf(await submit(agent, "k", "r"))).toBe("forbidden");
    const client = open({ endpoints: [member.address] });
    const huge: Command = { ...setting("huge"), value: "x".repeat(5 * 1024 * 1024) };
    const answers = await Promise.all([
      submit(client, "a", "r1"),
      new Promise<StreamAnswer>((resolve) => client.submit(huge, "r2", resolve)),
      submit(client, "b", "r3"),
    ]);
    expect(answers.map(reasonOf)).toEqual(["ok", "too_large", "ok"]);
    expect(client.connects).toBe(1);
  });

  it("takes no endpoint that is none, from its maker or from a server", async () => {
    for (const endpoints of [[], ["n1"], ["n1:99999"], ["n1:1", "https://n1:1"]])
      expect(() => open({ endpoints })).toThrow(RangeError);
    const confused = await start({ name: "n1", ledger: newLedger(), leader: () => ({ node: "n2", address: "nowhere" }) });
    expect(reasonOf(await submit(open({ endpoints: [confused.address] }), "k", "r"))).toBe("ok");
  });

  it("says that nobody knows when it is closed between a member that died and the next one", async () => {
    const ledger = newLedger();
    const dying = await start({ name: "n1", ledger, meddle: () => "doneButSilent" });
    const client = open({ endpoints: [dying.address] });
    const [answer, read] = [submit(client, "k", "r1"), get(client, "k")];
    while (ledger.done === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await dying.kill();
    while (client.server !== null) await new Promise((resolve) => setTimeout(resolve, 5));
    client.close();
    expect([reasonOf(await answer), reasonOf(await read)]).toEqual(["ambiguous", expect.stringMatching(/ok|not_ready/)]);
  });

  it("settles everything when it is closed", async () => {
    const silent = await start({ name: "n1", ledger: newLedger(), meddle: () => "silence" });
    const client = open({ endpoints: [silent.address] });
    const waiting = [submit(client, "a", "r1"), submit(client, "b", null), get(client, "k").then((r) => r)];
    while (silent.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    client.close();
    expect((await Promise.all(waiting)).slice(0, 2).map(reasonOf)).toEqual(["ambiguous", "ambiguous"]);
    expect(reasonOf(await submit(client, "c", "r3"))).toBe("not_ready");
  });
});
