import { pathOf } from "@aether/core/backup/thing-files";
import { memberOf } from "@aether/core/testing/rules-bench";
import { afterEach, describe, expect, it } from "vitest";
import { BackedUp, fsck } from "./testing/backed-up.ts";
import { filesOfCommit, filesOfWorld } from "./testing/world-files.ts";

const open: BackedUp[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.end();
});

async function start(...args: Parameters<typeof BackedUp.start>): Promise<BackedUp> {
  const made = await BackedUp.start(...args);
  open.push(made);
  return made;
}

const filesNow = (b: BackedUp): Map<string, string> => filesOfWorld(b.member.store.world);
const filesAt = (b: BackedUp): Map<string, string> => filesOfCommit(b.dir);

describe("a backup", () => {
  it("holds every thing as a file, in a commit that says what changed", async () => {
    const b = await start();
    await b.set("app/colour", "red", "of the door");
    expect(b.writer.dirty).toBe(true);
    const made = await b.writer.backup("asked by operator:olga");
    const { index, at, chain } = b.member.store.moment();
    expect(made).toMatchObject({ index, at, things: 1 + 3 + 7, changed: 11 });
    expect(b.git("rev-parse", "HEAD").trim()).toBe(made?.commit);
    expect(filesAt(b)).toEqual(filesNow(b));
    expect(JSON.parse(b.git("show", "HEAD:manifest.json"))).toMatchObject({
      cluster: { id: "ab".repeat(16), name: "home" },
      counts: { cluster: 1, node: 3, setting: 7 },
      index,
      at,
      chain,
      wanted: made?.wanted,
    });
    expect(b.git("log", "-1", "--format=%an <%ae> %s")).toBe("Aether <aether@home> cluster home, 3 nodes, 7 settings\n");
    expect(fsck(b.dir)).toBe("");
    expect(b.writer.dirty).toBe(false);
  });

  it("of nothing else that is wanted is none, unless somebody insists", async () => {
    const b = await start();
    const first = await b.writer.backup("one");
    await b.ask({ type: "RecordContact", id: "n2", contact: "suspected" }, memberOf("n1"));
    await b.set("app/x", 1);
    await b.ask({ type: "RemoveSetting", id: "app/x" });
    expect(b.writer.dirty).toBe(true);
    expect(await b.writer.backup("two")).toBeNull();
    expect(b.writer.dirty).toBe(false);
    await b.ask({ type: "RecordContact", id: "n2", contact: "lost" }, memberOf("n1"));
    expect(b.writer.dirty, "nobody wants a node to be lost").toBe(false);
    const second = await b.writer.backup("three", { force: true });
    expect(second).toMatchObject({ wanted: first?.wanted, changed: 0, things: first?.things });
    expect(filesAt(b)).toEqual(filesNow(b));
    expect(b.git("log", "--format=%s")).toBe("nothing wanted has changed\ncluster home, 3 nodes, 6 settings\n");
  });

  it("tells of a setting its story, and of the others nothing", async () => {
    const b = await start();
    await b.writer.backup("on change");
    await b.set("app/limit", { low: 1, high: 9 });
    await b.writer.backup("on change");
    await b.set("app/limit", { low: 2, high: 9 });
    await b.set("app/other", true);
    await b.writer.backup("on change");
    await b.set("app/other", false);
    await b.writer.backup("interval");
    await b.ask({ type: "RemoveSetting", id: "app/limit" });
    await b.writer.backup("asked by operator:olga");
    const story = b.git("log", "-p", "--reverse", "--format=* %s", "--", pathOf("settings", "app/limit"));
    const whole = (low: number): string[] =>
      [
        '  "id": "app/limit",',
        '  "noun": "setting",',
        '  "wanted": {',
        '    "description": "",',
        '    "value": {',
        '      "high": 9,',
      ].concat(`      "low": ${low}`, "    }", "  }");
    expect(story.split("\n").filter((line) => /^[*+-] /.test(line))).toEqual([
      "* setting app/limit",
      ...whole(1).map((line) => `+${line}`),
      "* 2 settings",
      '-      "low": 1',
      '+      "low": 2',
      "* setting app/limit",
      ...whole(2).map((line) => `-${line}`),
    ]);
    expect(b.git("log", "-1", "--format=%b", "HEAD~2")).toContain(
      "changed setting app/limit\ncreated setting app/other\n\nIndex: ",
    );
    expect(b.git("log", "-1", "--format=%b")).toMatch(
      /^removed setting app\/limit\n\nIndex: \d+\nTime: 1970-.*\nThings: 11\nChanged: 1\n/,
    );
  });
});
