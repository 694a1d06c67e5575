import { describe, expect, it } from "vitest";
import type { Membership, Msg } from "@aether/raft/types";
import type { Running, SimNode } from "../cluster/node.ts";
import { Process } from "../world/world.ts";
import { type OpenCall, Owed } from "./owed.ts";

const three: Membership = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
const hb: Msg = { t: "hb", commit: 0, readPos: 0 };
const manyLooks = 20;
const lookMs = 25;

/** Member 1 in term 5, with a log to entry 9 of which it knows 4 to be committed; member 2 has confirmed 7. */
function member(state: "leader" | "candidate" | "follower") {
  const process = new Process("n1");
  const status = {
    hard: { term: 5, vote: 0, commit: 4 },
    last: { index: 9, term: 5 },
    membership: three,
    role: { state },
    progress: new Map([[2, { state: "replicate", match: 7, next: 10 }]]),
  };
  const running = {
    member: 1,
    driver: { status: () => status },
    storage: { view: { first: () => 3, term: (index: number) => (index <= 9 ? 5 : "beyond") } },
    store: { role: { state, term: 5 } },
  } as unknown as Running;
  const node = { process, running, diskIsBusy: false };
  const owed = new Owed();
  let now = 0;
  const looks = (count: number, calls: OpenCall[] = []): void => {
    for (let i = 0; i < count; i++) owed.look([node as unknown as SimNode], calls, (now += lookMs));
  };
  const hears = (from: number, term: number, m: Msg): void =>
    owed.arrives(node as unknown as SimNode, running, { from, to: 1, term, m });
  const leads = (): void => owed.leads(process);
  const says = (to: number, m: Msg): void => owed.sends(process, { from: 1, to, term: 5, m });
  return { process, node, status, looks, hears, leads, says };
}

describe("a leader of an older term", () => {
  it("is told so by whoever hears it", () => {
    const { looks, hears, says } = member("follower");
    hears(2, 4, hb);
    says(2, { t: "appResp", index: 0, reject: null });
    looks(manyLooks);
    hears(2, 5, hb);
    looks(manyLooks);
    hears(2, 4, hb);
    looks(manyLooks);
    hears(2, 4, hb);
    expect(() => looks(manyLooks)).toThrow(/member 1 has heard 2 of term 4, and says nothing/);
  });

  it("is told nothing by who is stopped or waits for its disk, nor if it is no member", () => {
    const { node, process, looks, hears } = member("follower");
    hears(9, 4, hb);
    looks(manyLooks);
    hears(2, 4, hb);
    looks(manyLooks);
    hears(2, 4, hb);
    node.diskIsBusy = true;
    looks(manyLooks);
    node.diskIsBusy = false;
    process.paused = true;
    looks(manyLooks);
    process.paused = false;
    expect(() => looks(manyLooks)).toThrow(/says nothing/);
  });
});

describe("what a voter knows to be committed", () => {
  it("is not learned by who leads meanwhile: a leader counts for itself", () => {
    const { looks, hears, leads } = member("follower");
    hears(2, 5, { t: "voteResp", granted: false, commit: { index: 9, term: 5 } });
    leads();
    looks(manyLooks);
  });

  it("is learned by who asked it, if it is in its log", () => {
    const { status, looks, hears } = member("follower");
    hears(2, 5, { t: "voteResp", granted: false, commit: { index: 12, term: 5 } });
    looks(manyLooks);
    hears(2, 5, { t: "preVoteResp", granted: true, commit: { index: 8, term: 5 } });
    status.hard.commit = 8;
    looks(manyLooks);
    hears(2, 5, { t: "voteResp", granted: true, commit: { index: 9, term: 5 } });
    expect(() => looks(manyLooks)).toThrow(/told by 2 that 9\/5 is committed, and knows of 8/);
  });
});

describe("a follower that is heard", () => {
  const heard: Msg = { t: "hbResp", readPos: 0 };

  it("is asked for what it has not confirmed", () => {
    const { status, looks, hears, says } = member("leader");
    hears(2, 5, heard);
    says(2, { t: "app", prev: status.last, entries: [], commit: 4 });
    looks(manyLooks);
    hears(2, 5, heard);
    says(2, hb);
    looks(manyLooks);
    hears(2, 5, heard);
    expect(() => looks(manyLooks)).toThrow(/hears 2, which has not confirmed 9, and asks nothing/);
  });

  it("is not asked when it confirms all, or is sent a snapshot", () => {
    const { status, looks, hears } = member("leader");
    hears(2, 5, heard);
    status.progress.set(2, { state: "replicate", match: 9, next: 10 });
    looks(manyLooks);
    for (const lacking of [
      { state: "snapshot", match: 7, next: 8 },
      { state: "probe", match: 0, next: 1 },
    ]) {
      status.progress.set(2, lacking);
      hears(2, 5, heard);
      looks(manyLooks);
    }
  });
});

describe("who leads no more", () => {
  it("leaves nobody waiting for long", () => {
    const { process, looks } = member("follower");
    const asked = { by: process, since: 0, type: "SetSetting", direct: true };
    looks(100, [asked, { ...asked, direct: false }]);
    looks(100, [{ ...asked, direct: false }]);
    expect(() => looks(1, [asked])).toThrow(/n1 owes SetSetting of 0.000 s an answer/);
  });

  it("owes none when it is dead, and may take its time while it leads", () => {
    const [gone, leader] = [member("follower"), member("leader")];
    const callOf = (by: Process): OpenCall => ({ by, since: 0, type: "SetSetting", direct: true });
    gone.looks(1);
    gone.process.die();
    gone.looks(400, [callOf(gone.process)]);
    leader.looks(400, [callOf(leader.process)]);
  });
});
