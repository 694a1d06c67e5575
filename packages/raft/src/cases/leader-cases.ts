import { expect } from "vitest";
import type { PeerProgress } from "../core/progress.ts";
import { becomeCandidate, becomeLeader, becomePreCandidate } from "../core/roles.ts";
import { sendHeartbeats } from "../core/sending.ts";
import type { EntryId, Envelope, Index, Msg, NodeId, Progress, Term } from "../types.ts";
import { Lone } from "./lone.ts";
import { elect } from "./node-cases.ts";
import { oneByte, type Runner, runner } from "./suite.ts";

type AppMsg = Extract<Msg, { t: "app" }>;

function appsTo(id: NodeId, sent: readonly Envelope[]): AppMsg[] {
  return sent.flatMap((e) => (e.to === id && e.m.t === "app" ? [e.m] : []));
}

/** A leader whose log is these terms and its no-op, and whose own writes are done. */
function leading(voters: readonly NodeId[], terms: readonly Term[], term: Term): Lone {
  const lone = new Lone({ voters, terms, term });
  becomeCandidate(lone.r);
  becomeLeader(lone.r);
  lone.settle();
  return lone;
}

/** Puts a follower's progress where the case begins. */
function force(peer: PeerProgress, state: Progress["state"], at: { match?: Index; next?: Index; pendingSnapshot?: Index }): void {
  if (at.match !== undefined) peer.match = at.match;
  if (state === "probe") peer.becomeProbe();
  else if (state === "replicate") peer.becomeReplicate();
  else peer.becomeSnapshot(at.pendingSnapshot ?? 0);
  if (at.next !== undefined) peer.next = at.next;
}

interface AppRespRow {
  readonly index: Index;
  readonly reject: boolean;
  readonly wantMatch: Index;
  readonly wantNext: Index;
  readonly wantMsgs: number;
  readonly wantIndex: Index;
  readonly wantCommit: Index;
}

const appResp = runner<AppRespRow>((c) => {
  const lone = leading([1, 2, 3], [1, 1], 0);
  const peer = lone.r.tracker.find(2)!;
  force(peer, "probe", { next: 3 });
  const reject = c.reject ? { hint: { index: c.index, term: 0 } } : null;
  lone.receive(2, { t: "appResp", index: c.index, reject });
  const apps = appsTo(2, lone.settle());
  expect(peer).toMatchObject({ match: c.wantMatch, next: c.wantNext });
  expect(apps.length).toBe(c.wantMsgs);
  for (const app of apps) expect([app.prev.index, app.commit]).toEqual([c.wantIndex, c.wantCommit]);
});

const increaseNext = runner<{ state: Progress["state"]; next: Index; wantNext: Index }>((c) => {
  const lone = leading([1, 2], [1, 2, 3], 3);
  const peer = lone.r.tracker.find(2)!;
  force(peer, c.state, { next: c.next });
  lone.step({ k: "propose", data: [oneByte] });
  lone.settle();
  expect(peer.next).toBe(c.wantNext);
});

interface FlowStep {
  readonly append?: number;
  readonly beat?: boolean;
  readonly heartbeatResp?: boolean;
  readonly appRespAll?: boolean;
  readonly unreachable?: boolean;
  readonly wantApps?: number;
  readonly wantIndex?: Index;
  readonly wantHeartbeats?: number;
  readonly wantPaused?: boolean;
  readonly wantState?: string;
  readonly wantNext?: Index;
}

interface FlowCase {
  readonly terms: Term[];
  readonly state: Progress["state"];
  readonly match?: Index;
  readonly next?: Index;
  readonly pendingSnapshot?: Index;
  readonly steps: FlowStep[];
}

const flowControl = runner<FlowCase>((c) => {
  const lone = leading([1, 2], c.terms, 3);
  const peer = lone.r.tracker.find(2)!;
  force(peer, c.state, c);
  for (const s of c.steps) {
    const sent = flowStep(lone, s);
    const apps = appsTo(2, sent);
    const where = JSON.stringify(s);
    if (s.wantApps !== undefined) expect(apps.length, where).toBe(s.wantApps);
    if (s.wantIndex !== undefined) expect(apps[0]!.prev.index, where).toBe(s.wantIndex);
    if (s.wantHeartbeats !== undefined) expect(sent.filter((e) => e.m.t === "hb").length, where).toBe(s.wantHeartbeats);
    if (s.wantPaused !== undefined) expect(peer.isPaused(), where).toBe(s.wantPaused);
    if (s.wantState !== undefined) expect(peer.state, where).toBe(s.wantState);
    if (s.wantNext !== undefined) expect(peer.next, where).toBe(s.wantNext);
  }
});

function flowStep(lone: Lone, s: FlowStep): Envelope[] {
  const sent: Envelope[] = [];
  for (let i = 0; i < (s.append ?? 0); i++) {
    lone.step({ k: "propose", data: [oneByte] });
    sent.push(...lone.settle());
  }
  if (s.beat === true) sendHeartbeats(lone.r);
  if (s.heartbeatResp === true) lone.receive(2, { t: "hbResp", readPos: 0 });
  if (s.appRespAll === true) lone.receive(2, { t: "appResp", index: lone.r.log.lastIndex(), reject: null });
  if (s.unreachable === true) lone.step({ k: "unreachable", to: 2 });
  return [...sent, ...lone.settle()];
}

const beatOnly = runner<{ state: "leader" | "candidate" | "follower"; want: number }>((c) => {
  const lone = new Lone({ terms: [0, 1] });
  if (c.state !== "follower") becomePreCandidate(lone.r);
  if (c.state !== "follower") becomeCandidate(lone.r);
  if (c.state === "leader") becomeLeader(lone.r);
  lone.settle();
  lone.step({ k: "tick" });
  expect(lone.settle().filter((e) => e.m.t === "hb").length).toBe(c.want);
});

interface SnapshotProgress {
  readonly peer: { state: Progress["state"]; match?: Index; next?: Index; pendingSnapshot?: Index };
  readonly event: { type: "appResp" | "prop" | "snapStatus"; index?: Index; reject?: boolean };
  readonly want: { state: string; pendingSnapshot: Index; next?: Index; paused?: boolean; inflight?: number };
  readonly wantMessages: ("snap" | "app")[];
}

const leaderProgress = runner<SnapshotProgress, { base: EntryId }>((c, given) => {
  const lone = new Lone({ voters: [1, 2], base: given.base, term: given.base.term });
  elect(lone);
  const peer = lone.r.tracker.find(2)!;
  force(peer, c.peer.state, c.peer);
  peer.active = true;
  const { event } = c;
  if (event.type === "prop") lone.step({ k: "propose", data: [oneByte] });
  else if (event.type === "snapStatus") lone.step({ k: "snapStatus", to: 2, index: given.base.index, ok: event.reject !== true });
  else
    lone.receive(2, {
      t: "appResp",
      index: event.index!,
      reject: event.reject === true ? { hint: { index: 0, term: 0 } } : null,
    });
  const asked = lone.r.out.snapshotTo.filter((s) => s.to === 2).map(() => "snap");
  const apps = appsTo(2, lone.settle()).map(() => "app");
  expect([...asked, ...apps]).toEqual(c.wantMessages);
  const { inflight, paused, ...want } = c.want;
  expect(peer).toMatchObject(want);
  if (inflight !== undefined) expect(peer.inflights.count).toBe(inflight);
  if (paused !== undefined) expect(peer.isPaused()).toBe(paused);
});

interface Backtrack {
  readonly leader: Term[];
  readonly follower: Term[];
  readonly followerCompactedTo: Index;
  readonly wantHint: EntryId;
  readonly wantNextProbe: EntryId;
}

/** The leader's term is that of its last entry; the follower's term must not be beyond it for the probe to be heard. */
const fastBacktrack = runner<Backtrack>((c) => {
  const term = c.leader[c.leader.length - 1]!;
  const leader = new Lone({ voters: [1, 2, 3], terms: c.leader, term: term - 1 });
  const follower = new Lone({ id: 2, voters: [1, 2, 3], terms: c.follower, term: 0, commit: c.followerCompactedTo });
  void follower.log.compact(c.followerCompactedTo);
  becomeCandidate(leader.r);
  becomeLeader(leader.r);
  const probe = appsTo(2, leader.settle())[0]!;
  expect(probe.prev.index).toBe(c.leader.length);
  follower.r.log.committed = 0;
  follower.receive(1, probe, term);
  const answer = follower.settle()[0]!;
  expect(answer.m).toEqual({ t: "appResp", index: c.leader.length, reject: { hint: c.wantHint } });
  leader.step({ k: "recv", e: answer });
  expect(appsTo(2, leader.settle()).map((m) => m.prev)).toEqual([c.wantNextProbe]);
});

export const leaderRunners: Record<string, Runner> = {
  "leader.app_resp": appResp,
  "leader.increase_next": increaseNext,
  "leader.flow_control": flowControl,
  "leader.beat_only": beatOnly,
  "snapshot.leader_progress": leaderProgress,
  "replication.fast_backtrack": fastBacktrack,
};
