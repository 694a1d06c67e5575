import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { streamInFlightMax } from "@aether/core/api/stream-frames";
import { reject, type Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { makeRegistry } from "@aether/core/kernel/registry";
import type { Answer, EventStore, Submission } from "@aether/store/types";
import type { Gateway } from "./gateway.ts";
import { openStreamSession, type StreamSocket } from "./stream-session.ts";

const codec = new Packr({ useRecords: false });
const registry = makeRegistry([
  {
    name: "setting",
    events: [],
    commands: [
      {
        type: "SetSetting",
        roles: ["operator"],
        parse: (x) => (typeof (x as Command)["value"] === "number" ? (x as Command) : reject("invalid", "value: a number", "")),
        decide: () => ({ events: [] }),
      },
    ],
    evolve: (row) => row,
  },
]);
const operator: Identity = { name: "ops", role: "operator" };
const member: Identity = { name: "n2", role: "member" };

const arrange = (caller: Identity = operator) => {
  const sent: unknown[][] = [];
  const held: { s: Submission; done: (a: Answer) => void }[] = [];
  const denied: string[] = [];
  const unread: (() => void)[] = [];
  const state = { buffered: 0, paused: false, closed: 0 };
  const socket: StreamSocket = {
    get bufferedAmount() {
      return state.buffered;
    },
    send: (data, onSent) => {
      sent.push(codec.unpack(data) as unknown[]);
      if (state.buffered === 0) onSent();
      else unread.push(onSent);
    },
    pause: () => (state.paused = true),
    resume: () => (state.paused = false),
    close: (code) => (state.closed = code),
  };
  const world = { get: (noun: string, id: string) => (noun === "setting" && id === "a" ? { id, version: 3 } : undefined) };
  const gateway: Gateway = {
    submit: (s, done) => void held.push({ s, done }),
    settle: () => Promise.reject(new Error("not used")),
    barrier: () => Promise.resolve(77),
  };
  const session = openStreamSession(socket, caller, {
    node: "n1",
    store: { world } as unknown as EventStore,
    gateway,
    registry,
    leader: () => ({ node: "n2", address: "127.0.0.1:7002" }),
    onDenied: (what) => denied.push(what),
  });
  return { session, sent, held, denied, state, unread, send: (...frames: unknown[]) => session.onMessage(codec.pack(frames)) };
};
const settled = async (): Promise<void> => new Promise((resume) => setImmediate(resume));
const ok = (index: number): Answer => ({ ok: true, index, version: 1, changed: true, replayed: false });

describe("a command stream", () => {
  it("greets with who it is, who leads and what it takes", async () => {
    const t = arrange();
    await settled();
    expect(t.sent).toEqual([
      [
        [
          "hello",
          { node: "n1", leader: { node: "n2", address: "127.0.0.1:7002" }, limits: { inFlight: 4096, messageBytes: 4194304 } },
        ],
      ],
    ]);
  });

  it("puts all answers of a turn into one message, in any order, each under its number", async () => {
    const t = arrange();
    await settled();
    t.send([1, { type: "SetSetting", id: "a", value: 1 }, null], [2, { type: "SetSetting", id: "b", value: 2 }, "k2"]);
    t.held[1]?.done(ok(11));
    t.held[0]?.done({ ok: false, rejection: reject("stale", "is 4", "read again"), leader: 0 });
    await settled();
    expect(t.sent[1]).toEqual([
      [2, 1, 11, 1, true, false],
      [1, 0, "stale", "is 4", "read again"],
    ]);
    expect(t.held[0]?.s.request).toBeNull();
    expect(t.held[1]?.s.request).toEqual({ client: "operator:ops", id: "k2" });
  });

  it("reads linearizably: all reads of a message share one read point", async () => {
    const t = arrange();
    t.send([1, { type: "get", noun: "setting", id: "a" }], [2, { type: "get", noun: "setting", id: "zz" }]);
    await settled();
    expect(t.sent.flat()).toContainEqual([1, 2, { id: "a", version: 3 }, 77]);
    expect(t.sent.flat()).toContainEqual([2, 2, null, 77]);
  });

  it("refuses what is over the limit, typed, and goes on when there is room again", async () => {
    const t = arrange();
    await settled();
    t.send(...Array.from({ length: streamInFlightMax + 1 }, (_, i) => [i, { type: "SetSetting", id: "a", value: i }, null]));
    await settled();
    expect(t.sent[1]?.map((f) => (f as unknown[]).slice(0, 3))).toEqual([[streamInFlightMax, 0, "too_many"]]);
    expect(t.held).toHaveLength(streamInFlightMax);
    t.held[0]?.done(ok(5));
    t.send([9000, { type: "SetSetting", id: "a", value: 1 }, null]);
    expect(t.held).toHaveLength(streamInFlightMax + 1);
    expect(t.session.inFlight).toBe(streamInFlightMax);
  });

  it("stops reading from a client that does not read its answers", async () => {
    const t = arrange();
    await settled();
    t.send([1, { type: "SetSetting", id: "a", value: 1 }, null]);
    t.held[0]?.done(ok(5));
    t.state.buffered = 2 * 1024 * 1024;
    await settled();
    expect(t.state.paused).toBe(true);
    t.state.buffered = 1000;
    t.unread.forEach((f) => f());
    expect(t.state.paused).toBe(false);

    t.send([2, { type: "get", noun: "setting", id: "a" }]);
    t.state.buffered = 65 * 1024 * 1024;
    await settled();
    expect(t.state.closed).toBe(1013);
  });

  it("lets a member speak for others and nobody else", async () => {
    const m = arrange(member);
    m.send([
      1,
      { type: "SetSetting", id: "a", value: 1 },
      { client: "operator:ops", id: "k" },
      { name: "ops", role: "operator" },
    ]);
    expect(m.held[0]?.s).toMatchObject({ actor: operator, request: { client: "operator:ops", id: "k" } });
    const o = arrange();
    o.send([1, { type: "SetSetting", id: "a", value: 1 }, null, { name: "root", role: "operator" }]);
    await settled();
    expect(o.held).toHaveLength(0);
    expect(o.sent.flat()).toContainEqual([1, 0, "forbidden", expect.any(String), expect.any(String)]);
    expect(o.denied).toHaveLength(1);
  });

  it("answers a frame it does not understand, and closes on bytes that are no frames", async () => {
    const t = arrange();
    t.send(
      [1, { type: "DropTable", id: "a" }, null],
      [2, { type: "SetSetting", id: "a", value: "x" }, null],
      [3, { type: "SetSetting", id: "a", value: 1 }, 7],
    );
    await settled();
    expect(
      t.sent
        .flat()
        .filter((f) => (f as unknown[])[1] === 0)
        .map((f) => (f as unknown[])[2]),
    ).toEqual(["invalid", "invalid", "invalid"]);
    t.session.onMessage(Buffer.from([0xc1, 0xff, 0x00]));
    expect(t.state.closed).toBe(1007);
    const u = arrange();
    u.send("frame");
    expect(u.state.closed).toBe(1007);
  });
});
