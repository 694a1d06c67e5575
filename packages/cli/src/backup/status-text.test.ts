import { describe, expect, it } from "vitest";
import { painter } from "../shell/shell.ts";
import { renderBackups, type BackupsView } from "./status-text.ts";

const now = 10_000_000;
const commit = "4f1c2ab9d0".padEnd(40, "0");
const schedule = { enabled: true, intervalMs: 3_600_000, debounceMs: 30_000, keep: 10_000, remote: null };
const empty: BackupsView = {
  ...{ index: 50, head: commit, repository: { path: "/data/backup.git", bytes: 4_096 }, schedule },
  ...{ open: null, last: null, failed: null, pushed: null, pushFailed: null, drill: null },
};
const receipt = { commit, upTo: 41, tookMs: 20, bytes: 900, things: 18, changed: 2, holders: ["n1", "n2"], note: "" };
const last = { ...receipt, index: 43, at: now - 65_000 };
const lines = (change: Partial<BackupsView>): string => renderBackups({ ...empty, ...change }, now, painter(false));

describe("what the status says of backups", () => {
  it("is the newest commit and its age in one line", () => {
    expect(lines({ last })).toBe("backup 4f1c2ab9d0 of index 41, 1m 05s ago, 18 things   no drill yet\n");
    expect(lines({})).toBe("no backup yet   no drill yet\n");
  });

  it("is a second line for a backup that failed, and says when backups are off", () => {
    const failed = { why: "no space left", hint: "free some", request: 44, index: 45, at: now - 1_000 };
    expect(lines({ last, failed }).split("\n")[1]).toBe("BACKUP FAILED 1.0 s ago: no space left (free some)");
    expect(lines({ last, schedule: { ...schedule, enabled: false } })).toContain("backups by themselves are off");
  });

  it("says whether the newest commit is at the remote or why not", () => {
    const remote = { schedule: { ...schedule, remote: "https://git.example/backup.git" }, last };
    const push = { commit, remote: "https://git.example/backup.git", index: 44, at: now - 2_000 };
    expect(lines(remote)).toContain("   not pushed yet   ");
    expect(lines({ ...remote, pushed: push })).toContain("   pushed 2.0 s ago   ");
    expect(lines({ ...remote, pushed: { ...push, commit: "9d02e771".padEnd(40, "0") } })).toContain(
      "   pushed up to 9d02e77100   ",
    );
    const pushFailed = { ...push, why: "refused by a hook", hint: "" };
    expect(lines({ ...remote, pushed: push, pushFailed })).toContain("   NOT PUSHED since 2.0 s ago: refused by a hook   ");
  });

  it("says how the last drill went", () => {
    const drill = { commit, sound: true, things: 18, tookMs: 9_000, why: "", by: "operator:operator", index: 47, at: now - 500 };
    expect(lines({ last, drill })).toContain("   drill ok, 0.5 s ago\n");
    expect(lines({ last, drill: { ...drill, sound: false, why: "2 files differ" } })).toContain(
      "   DRILL FAILED 0.5 s ago: 2 files differ\n",
    );
  });
});
