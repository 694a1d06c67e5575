import { describe, expect, it } from "vitest";
import { reject, type Reason } from "@aether/core/kernel/command";
import { ReadFailed } from "@aether/raft/errors";
import type { Role } from "@aether/raft/types";
import type { Answer, EventStore, Submission } from "@aether/store/types";
import { makeGateway, type LeaderLink } from "./gateway.ts";

const done: Answer = { ok: true, index: 9, version: 2, changed: true, replayed: false };
const refused = (reason: Reason): Answer => ({ ok: false, rejection: reject(reason, reason, ""), leader: 0 });
const submission = (id: string | null): Submission => ({
  command: { type: "SetSetting", id: "a", value: 1 },
  actor: { name: "ops", role: "operator" },
  request: id === null ? null : { client: "operator:ops", id },
});

/** A store and a leader that answer from scripts, and record what they were asked. */
const arrange = (role: Role, here: Answer[], there: Answer[] = []) => {
  const asked: { where: string; s: Submission }[] = [];
  const store = {
    role,
    submit: (s: Submission, f: (a: Answer) => void) => {
      asked.push({ where: "here", s });
      f(here.shift() ?? done);
    },
    barrier: () => Promise.reject(new ReadFailed("deadline")),
  } as unknown as EventStore;
  const link: LeaderLink = {
    submit: (leader, s, f) => {
      asked.push({ where: `member ${leader}`, s });
      f(there.shift() ?? done);
    },
  };
  return { asked, gateway: makeGateway({ store, link, now: () => performance.now(), random: () => 0 }) };
};
const follower: Role = { state: "follower", term: 3, leader: 2 };
const leader: Role = { state: "leader", term: 3, leader: 1 };

describe("the gateway", () => {
  it("decides here on the leader, and asks the leader from a follower", async () => {
    const a = arrange(leader, []);
    expect(await a.gateway.settle(submission(null), 1000)).toEqual(done);
    expect(a.asked.map((x) => x.where)).toEqual(["here"]);
    const b = arrange(follower, []);
    expect(await b.gateway.settle(submission(null), 1000)).toEqual(done);
    expect(b.asked.map((x) => x.where)).toEqual(["member 2"]);
    expect(b.asked[0]?.s.actor).toEqual({ name: "ops", role: "operator" });
  });

  it("carries a write with a request id over a leader change, with the same id", async () => {
    const t = arrange(follower, [], [refused("ambiguous"), refused("no_leader"), done]);
    expect(await t.gateway.settle(submission("k1"), 2000)).toEqual(done);
    expect(t.asked.map((x) => x.s.request?.id)).toEqual(["k1", "k1", "k1"]);
  });

  it("does not repeat a write of unknown fate that nothing makes safe to repeat", async () => {
    const t = arrange(follower, [], [refused("ambiguous")]);
    const answer = await t.gateway.settle(submission(null), 2000);
    expect(answer).toMatchObject({ ok: false, rejection: { reason: "ambiguous" } });
    expect(t.asked).toHaveLength(1);
  });

  it("does not repeat what was refused for good", async () => {
    const t = arrange(leader, [refused("stale")]);
    expect(await t.gateway.settle(submission("k"), 2000)).toMatchObject({ rejection: { reason: "stale" } });
    expect(t.asked).toHaveLength(1);
  });

  it("answers `deadline` naming the obstacle when no leader comes in time", async () => {
    const t = arrange({ state: "follower", term: 3, leader: 0 }, []);
    const started = performance.now();
    const answer = await t.gateway.settle(submission("k"), 150);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(answer).toMatchObject({ ok: false, rejection: { reason: "deadline" } });
    expect(answer.ok ? "" : answer.rejection.message).toContain("no leader");
  });

  it("answers `ambiguous` when the leader never answers", async () => {
    const t = arrange(follower, []);
    const silent = makeGateway({
      store: { role: follower } as EventStore,
      link: { submit: () => undefined },
      now: () => performance.now(),
      random: () => 0,
    });
    expect(await silent.settle(submission(null), 50)).toMatchObject({ rejection: { reason: "ambiguous" } });
    expect(t.asked).toHaveLength(0);
  });

  it("turns an unconfirmed read into a typed rejection", async () => {
    expect(await arrange(leader, []).gateway.barrier(10)).toMatchObject({ rejected: true, reason: "deadline" });
  });
});
