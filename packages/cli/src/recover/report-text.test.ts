import { describe, expect, it } from "vitest";
import type { FolderReport } from "@aether/node/recovery/recover-folder";
import { reportText, surelyLost } from "./report-text.ts";

const at = Date.UTC(2026, 10, 21, 12, 4, 31);
const report = (more: Partial<FolderReport> = {}): FolderReport => ({
  cluster: { name: "prod", old: "ab".repeat(16), id: "cd".repeat(16) },
  node: "n2",
  member: { old: 2, id: 4 },
  address: "127.0.0.1:7402",
  verdict: "clean",
  voters: [1, 2, 3],
  outgoing: [],
  configuration: {},
  others: [
    { name: "n1", member: 1, address: "127.0.0.1:7401" },
    { name: "n3", member: 3, address: null },
  ],
  first: 1,
  committed: 40,
  committedAnywhere: 40,
  upTo: 40,
  tail: [],
  chain: "",
  state: "",
  at,
  last: 43,
  ...more,
});
const lines = (r: FolderReport): readonly string[] => reportText(r, at + 90_000).split("\n");
const line = (r: FolderReport, title: string): string => lines(r).find((one) => one.startsWith(`  ${title}`)) ?? "";
const tail = (...indexes: readonly number[]) =>
  indexes.map((index) => ({ index, cause: "SetSetting", actor: "operator:ops", things: [`app/${index}`] }));

describe("what is said before a recovery", () => {
  it("names what is kept, until when, who goes on and who does not come back", () => {
    expect(line(report(), "kept")).toContain("entries 1 to 40; the newest was written 2026-11-21T12:04:31Z, 1m 30s ago");
    expect(line(report({ verdict: "tornTail" }), "kept")).toContain("a torn end was dropped");
    expect(line(report(), "goes on")).toContain("n2 alone, as member 4");
    expect(line(report(), "ends")).toContain("n1 (member 1), n3 (member 3) cannot come back");
    expect(line(report({ others: [] }), "ends")).toContain("no other node is in it");
  });

  it("names the entries that nobody said were committed, the newest of many one by one", () => {
    expect(line(report(), "may not be")).toContain("nothing: all that is kept was committed");
    const some = report({ upTo: 42, tail: tail(41, 42) });
    expect(line(some, "may not be")).toContain("entries 41 to 42");
    expect(line(some, "may not be")).toContain("41 SetSetting app/41 by operator:ops; 42 SetSetting app/42 by operator:ops");
    const many = report({ upTo: 70, tail: tail(...Array.from({ length: 30 }, (_, i) => 41 + i)) });
    expect(line(many, "may not be")).toContain("20 earlier; 61 SetSetting");
  });

  it("tells what is surely lost from what may be", () => {
    expect(surelyLost(report())).toBeNull();
    expect(line(report(), "lost")).toContain("above entry 40: nothing on this disk says that there was anything");
    const behind = report({ committedAnywhere: 52 });
    expect(surelyLost(behind)).toEqual({ from: 41, to: 52 });
    expect(line(behind, "lost")).toContain("entries 41 to 52: they were committed, and are not on this disk");
  });

  it("does not call its own entries committed because others were under the same numbers", () => {
    const cutOff = report({ upTo: 45, committedAnywhere: 43, tail: tail(41, 42, 43, 44, 45) });
    expect(surelyLost(cutOff)).toBeNull();
    expect(line(cutOff, "may not be")).toContain("up to 43 were committed, and this disk cannot tell whether they were these");
  });
});
