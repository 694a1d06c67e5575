import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { clone, push } from "./remote.ts";
import { Repository } from "./repository.ts";
import { cutHistory } from "./shallow.ts";
import {
  backups,
  cleanUpAfterEach,
  environment,
  everything,
  folder,
  fsck,
  git,
  more,
  served,
  soon,
} from "./testing/remote-bench.ts";

cleanUpAfterEach();

describe("a clone", { timeout: 60_000 }, () => {
  it("of a folder is the folder itself, in which nothing is written, whoever made it", async () => {
    const repository = await backups(4);
    const { dir } = repository;
    const newest = await repository.head();
    const older = git(dir, "rev-parse", "HEAD~2").trim();
    const tree = (): string[] =>
      readdirSync(dir, { recursive: true }).map((name) => `${String(name)} ${statSync(join(dir, String(name))).mtimeMs}`);
    execFileSync("chmod", ["-R", "a-w", dir]);
    const before = tree();
    const away = join(folder(), "clone");
    expect(await clone({ url: dir, credentials: null }, away)).toMatchObject({ ok: true, commit: newest });
    const done = await clone({ url: `file://${dir}`, credentials: null }, away, { commit: older.slice(0, 9) });
    expect(done).toMatchObject({ ok: true, commit: older });
    expect(done.ok && (await done.repository.commit(older)).tree).toBe(git(dir, "rev-parse", `${older}^{tree}`).trim());
    expect(existsSync(away)).toBe(false);
    expect(tree()).toEqual(before);
    execFileSync("chmod", ["-R", "u+w", dir]);
    expect(await clone({ url: dir, credentials: null }, away, { commit: "abcdef" })).toMatchObject({
      ok: false,
      kind: "missing",
    });
    expect(await clone({ url: join(dir, "objects"), credentials: null }, away)).toMatchObject({ ok: false, kind: "refused" });
    expect(await clone({ url: join(dir, "nowhere"), credentials: null }, away)).toMatchObject({ ok: false, kind: "refused" });
    const work = join(folder(), "work");
    execFileSync("git", ["clone", "--quiet", dir, work], { env: environment });
    expect(await clone({ url: work, credentials: null }, away)).toMatchObject({ ok: true, commit: newest });
  });

  it("of a server is all that it has, indexed as git would, and goes on from there", async () => {
    const { dir, remote } = await served({ user: "aether", token: "s3cret", tls: true });
    const repository = await backups(25);
    await push(repository, remote, soon);
    git(dir, "gc", "--quiet", "--aggressive", "--prune=now");
    const away = join(folder(), "clone.git");
    const told = new Set<string>();
    const done = await clone(remote, away, { ...soon, onProgress: ({ phase }) => told.add(phase) });
    expect(done).toMatchObject({ ok: true, commit: await repository.head() });
    expect([...told]).toEqual(["receiving", "indexing"]);
    expect(everything(away)).toBe(everything(repository.dir));
    expect(fsck(away)).toBe("");
    const name = readdirSync(join(away, "objects/pack")).find((each) => each.endsWith(".idx")) ?? "";
    git(away, "index-pack", "-o", join(away, "gits.idx"), join(away, "objects/pack", name.replace(".idx", ".pack")));
    expect(readFileSync(join(away, "objects/pack", name)).equals(readFileSync(join(away, "gits.idx")))).toBe(true);
    const copy = await Repository.create(away);
    await more(copy, 25, 1);
    expect(await push(copy, remote, soon)).toMatchObject({ ok: true });
    expect(everything(dir)).toBe(everything(away));
    // again brings what is new
    await more(copy, 26, 1);
    await push(copy, remote, soon);
    expect(await clone(remote, repository.dir, soon)).toMatchObject({ ok: true, commit: await copy.head() });
    expect(everything(repository.dir)).toBe(everything(away));
  });

  it("of a server with a history that was cut is cut as well", async () => {
    const { dir, remote } = await served();
    const repository = await backups(9);
    await push(repository, remote, soon);
    const served3 = await Repository.create(dir);
    await cutHistory(served3, 3);
    const away = join(folder(), "clone.git");
    expect(await clone(remote, away, soon)).toMatchObject({ ok: true });
    expect(git(away, "rev-list", "--count", "main").trim()).toBe("3");
    expect(fsck(away)).toBe("");
  });

  it("that is cut off, altered on the way or refused leaves nothing that looks like one", async () => {
    let how = "cut";
    const before = (request: IncomingMessage, response: ServerResponse): boolean => {
      if (request.method !== "POST") return false;
      const write = response.write.bind(response);
      let bytes = 0;
      response.write = ((piece: Buffer, ...rest: []) => {
        bytes += piece.length;
        if (how === "cut" && bytes > 2_000) return (void response.socket?.destroy(), false);
        if (how === "altered" && piece.length > 1_000) piece[500]! ^= 1;
        return write(piece, ...rest);
      }) as typeof write;
      return false;
    };
    const { dir, remote } = await served({ user: "aether", token: "s3cret", before });
    const repository = await backups(5);
    const quiet = await Repository.create(dir);
    expect(await clone(remote, join(folder(), "x"), soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("has no refs/heads/main"),
    });
    await push(repository, { url: quiet.dir, credentials: null }, soon);
    for (const [each, kind] of [
      ["cut", "unreachable"],
      ["altered", "refused"],
    ] as const) {
      how = each;
      const away = join(folder(), "clone.git");
      expect(await clone(remote, away, soon), each).toMatchObject({ ok: false, kind });
      expect(readdirSync(join(away, "objects/pack"))).toEqual([]);
      expect(await (await Repository.open(away)).head()).toBeNull();
    }
    const wrong = { ...remote, credentials: { user: "aether", token: redact("wr0ng") } };
    expect(await clone(wrong, join(folder(), "y"), soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("401"),
    });
    how = "";
    mkdirSync(join(folder(), "z"));
    expect(await clone(remote, join(folder(), "z"), soon)).toMatchObject({ ok: true });
  });
});
