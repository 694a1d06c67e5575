import { describe, expect, it } from "vitest";
import { commands, groups } from "../commands.ts";
import { exit, Failure } from "../shell/failure.ts";
import { parseCommandLine } from "../shell/parse.ts";
import { painter } from "../shell/shell.ts";
import { renderTable } from "../shell/table.ts";
import { commitName } from "./commit-text.ts";
import { columnsAt } from "./list.ts";
import { renderCommit } from "./show.ts";
import { sourceOf } from "./source.ts";
import { renderVerdict } from "./verify.ts";

const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const commit = "4f1c2ab9d0".padEnd(40, "0");
const failureOf = (act: () => unknown): Failure => {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it was accepted");
};
const callOf = (...words: readonly string[]) => {
  const parsed = parseCommandLine(["backup", "restore", ...words], commands, groups);
  if (parsed.kind !== "run") throw new Error("it asks for help");
  return parsed.call;
};

describe("the list of backups", () => {
  it("has a line a commit, with its age and whether the remote has it", () => {
    const listed = {
      commit,
      index: 41,
      at: now - 65_000,
      things: 18,
      changed: 2,
      cause: "",
      message: "",
      pushed: true,
      recorded: true,
    };
    expect(renderTable(columnsAt(now), [listed])).toBe(
      "COMMIT       INDEX   TIME                     AGE   THINGS   CHANGED   PUSHED\n" +
        "4f1c2ab9d0      41   2026-11-21 11:58:55   1m 05s       18         2   yes\n",
    );
  });
});

describe("what is to be restored", () => {
  it("is the newest commit unless one, an index or a time is named", () => {
    expect(sourceOf(callOf(), now)).toEqual({ commit: "HEAD" });
    expect(sourceOf(callOf("4F1C2AB9"), now)).toEqual({ commit: "4f1c2ab9" });
    expect(sourceOf(callOf("--at-index", "41"), now)).toEqual({ atIndex: 41 });
    expect(sourceOf(callOf("--at", "10m ago"), now)).toEqual({ atTime: now - 600_000 });
  });

  it.each([
    [["4f1c2ab9", "--at-index", "41"], "COMMIT 4f1c2ab9 and --at-index 41: which one?"],
    [["--at-index", "41", "--at", "2h"], "--at-index 41 and --at 2h: which one?"],
    [["--at", "yesterday"], '--at "yesterday": a time is expected'],
    [["--at", "2026-11-21 13:00:00"], '--at "2026-11-21 13:00:00": that is still to come'],
    [["4f1"], '"4f1" is no commit: 4 to 40 hex digits are expected'],
    [["last-week"], '"last-week" is no commit: 4 to 40 hex digits are expected'],
  ])("cannot be %j", (words, message) => {
    expect(failureOf(() => sourceOf(callOf(...words), now))).toMatchObject({ code: exit.usage, message });
  });

  it("may be narrowed by --only more than once", () => {
    expect(callOf("--only", "setting/app/*", "--only=node").texts("only")).toEqual(["setting/app/*", "node"]);
    expect(commitName("main")).toBe("main");
  });
});

describe("a commit and what is found in it", () => {
  const manifest = {
    ...{ format: 1 as const, cluster: { id: "ab".repeat(16), name: "local" }, level: 1, index: 41, term: 2, at: now - 65_000 },
    ...{ chain: "cd".repeat(32), counts: { cluster: 1, setting: 17 }, facets: { setting: 1 }, wanted: "ef".repeat(20) },
  };

  it("shows of when it is, what it holds and what changed in it", () => {
    const changes = [{ noun: "setting", id: "app/x", kind: "created" }] as const;
    const answer = {
      index: 44,
      commit,
      manifest,
      message: "setting app/x\n\nindex 41\n",
      at: now - 65_000,
      parent: null,
      changes,
    };
    expect(renderCommit({ ...answer, changesTotal: 3 }, now, painter(false))).toBe(
      [
        `commit ${commit}`,
        "taken  2026-11-21 11:58:55, 1m 05s ago, of index 41",
        `of     cluster local (${"ab".repeat(16)})`,
        "holds  cluster 1, setting 17",
        `wanted ${"ef".repeat(20)}`,
        "",
        "    setting app/x",
        "",
        "+ setting app/x",
        "… and 2 more (-o json shows the first 1,000)",
        "",
      ].join("\n"),
    );
  });

  it("is called sound in a line, or damaged with each file by its name", () => {
    const verdict = {
      index: 44,
      sound: true,
      commit,
      objects: 60,
      files: 19,
      faults: [],
      audit: { checked: true, why: "as the chain says" },
    };
    expect(renderVerdict(verdict)).toBe("commit 4f1c2ab9d0 is sound: 60 objects, 19 files; as the chain says\n");
    const faults = [{ path: "settings/3f/a/cpu_warning.json", what: "is not what its hash says" }];
    expect(renderVerdict({ ...verdict, sound: false, faults })).toBe(
      "commit 4f1c2ab9d0 is DAMAGED: 1 fault\n  settings/3f/a/cpu_warning.json: is not what its hash says\n",
    );
  });
});
