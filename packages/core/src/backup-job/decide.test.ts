import { describe, expect, it } from "vitest";
import type { Command } from "../kernel/command.ts";
import { registry } from "../registry.ts";
import { memberOf, operator, readyCluster, RulesBench } from "../testing/rules-bench.ts";
import { backupsOf } from "./state.ts";

const n1 = memberOf("n1");
const one = "1".repeat(40);
const two = "2".repeat(40);
const request = (cause = "changed"): Command => ({ type: "RequestBackup", id: "home", cause });
const record = (commit: string, upTo: number, more: object = {}): Command => {
  const facts = { tookMs: 12, bytes: 700, things: 9, changed: 1, holders: ["n1", "n2"], note: "" };
  return { type: "RecordBackup", id: "home", commit, upTo, ...facts, ...more };
};
const fail = (why: string): Command => ({ type: "FailBackup", id: "home", why, hint: "make room" });
const push = (commit: string): Command => ({ type: "RecordPush", id: "home", commit, remote: "/mnt/b.git" });
const failPush = (why: string): Command => ({ type: "FailPush", id: "home", commit: one, remote: "/mnt/b.git", why, hint: "" });

describe("a backup that is asked for", () => {
  it("stays asked for until a receipt whose index reaches it, whoever writes it", () => {
    const b = readyCluster(3);
    expect(backupsOf(b.world)).toMatchObject({ open: null, last: null });
    b.try(request("backup trigger"));
    const asked = b.world.index;
    expect(backupsOf(b.world).open).toMatchObject({ by: "operator:ops", cause: "backup trigger", index: asked });
    b.try(record(one, asked - 1), n1);
    expect(backupsOf(b.world)).toMatchObject({ open: { index: asked }, last: { commit: one, upTo: asked - 1 } });
    b.try(record(two, asked), n1);
    expect(backupsOf(b.world)).toMatchObject({ open: null, last: { commit: two, upTo: asked, holders: ["n1", "n2"] } });
  });

  it("by a person is asked for anew while one is being written, by a member once", () => {
    const b = readyCluster(3);
    expect(b.outcome(request(), n1)).toEqual(["BackupRequested"]);
    expect(b.outcome(request(), n1)).toEqual([]);
    expect(b.outcome(request(), operator)).toEqual(["BackupRequested"]);
    expect(backupsOf(b.world).open?.by).toBe("operator:ops");
  });

  it("and cannot be written is answered so; the same reason without a request is not said again", () => {
    const b = readyCluster(3);
    b.try(request());
    const asked = b.world.index;
    expect(b.outcome(fail("the disk is full"), n1)).toEqual(["BackupFailed"]);
    expect(backupsOf(b.world)).toMatchObject({
      open: null,
      failed: { why: "the disk is full", hint: "make room", request: asked },
    });
    expect(b.outcome(fail("the disk is full"), n1)).toEqual([]);
    expect(b.outcome(fail("the folder is gone"), n1)).toEqual(["BackupFailed"]);
    b.try(request());
    expect(b.outcome(fail("the folder is gone"), n1)).toEqual(["BackupFailed"]);
    b.try(record(one, b.world.index), n1);
    expect(backupsOf(b.world).failed).toBeNull();
  });

  it("has one receipt, and none of an earlier index comes after it", () => {
    const b = readyCluster(3);
    expect(b.outcome(record(one, 7), n1)).toEqual(["BackupRecorded"]);
    expect(b.outcome(record(one, 7, { tookMs: 99 }), n1)).toEqual([]);
    expect(b.outcome(record(two, 6), n1)).toBe("conflict");
    expect(b.outcome({ ...record(two, 9), id: "away" }, n1)).toBe("not_found");
  });
});

describe("a push", () => {
  it("that fails is told once for each reason, until one is taken", () => {
    const b = readyCluster(3);
    expect(b.outcome(push(one), n1)).toEqual(["BackupPushed"]);
    expect(b.outcome(push(one), n1)).toEqual([]);
    expect(b.outcome(failPush("no answer"), n1)).toEqual(["BackupPushFailed"]);
    expect(b.outcome(failPush("no answer"), n1)).toEqual([]);
    expect(b.outcome(failPush("it has diverged"), n1)).toEqual(["BackupPushFailed"]);
    expect(backupsOf(b.world)).toMatchObject({ pushed: { commit: one }, pushFailed: { why: "it has diverged" } });
    expect(b.outcome(push(one), n1)).toEqual(["BackupPushed"]);
    expect(backupsOf(b.world).pushFailed).toBeNull();
  });
});

describe("a drill", () => {
  it("is reported by an operator, and by nobody else", () => {
    const b = readyCluster(1);
    b.try({ type: "RecordDrill", id: "home", commit: one, sound: false, things: 9, tookMs: 800, why: "setting/a differs" });
    expect(backupsOf(b.world).drill).toMatchObject({ sound: false, why: "setting/a differs", by: "operator:ops" });
    expect(registry.command("RecordDrill")?.roles).toEqual(["operator"]);
  });
});

describe("what backups are told", () => {
  it("is refused before there is a cluster", () => {
    const b = new RulesBench();
    for (const command of [request(), record(one, 1), fail("x"), push(one), failPush("x")]) {
      expect(b.outcome(command, command.type === "RequestBackup" ? operator : n1)).toBe("not_found");
    }
  });

  it("names a commit by all its digits", () => {
    expect(registry.command("RecordPush")?.parse({ ...push("abc"), remote: "r" })).toMatchObject({ reason: "invalid" });
  });
});
