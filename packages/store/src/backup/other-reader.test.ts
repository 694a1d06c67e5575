/** A backup as another implementation of git reads it, that nobody here wrote and that is not git's own. */
import fs from "node:fs";
import { pathOf } from "@aether/core/backup/thing-files";
import git from "isomorphic-git";
import { afterEach, describe, expect, it } from "vitest";
import { BackedUp } from "./testing/backed-up.ts";

describe("a backup's repository", () => {
  let b: BackedUp;
  afterEach(() => b.end());

  it("is read by isomorphic-git: its history, every file of every commit, and what each commit says of a setting", async () => {
    b = await BackedUp.start();
    const values = [1, { deep: ["ü", "\u{1f600}"] }, "x".repeat(10_000)];
    for (const value of values) {
      await b.set("app/ä", value);
      await b.writer.backup("interval");
    }
    const cache = {};
    const repository = { fs, gitdir: b.dir, cache };
    const log = await git.log(repository);
    expect(log.map(({ commit }) => commit.message.split("\n", 1)[0])).toEqual([
      "setting app/ä",
      "setting app/ä",
      "cluster home, 3 nodes, 7 settings",
    ]);
    const filepath = pathOf("settings", "app/ä");
    for (const [at, { oid }] of log.toReversed().entries()) {
      const files = await git.listFiles({ ...repository, ref: oid });
      expect(files).toHaveLength(16);
      for (const each of files) await git.readBlob({ ...repository, oid, filepath: each });
      const { blob } = await git.readBlob({ ...repository, oid, filepath });
      expect(JSON.parse(Buffer.from(blob).toString())).toMatchObject({ id: "app/ä", wanted: { value: values[at] } });
    }
  });
});
