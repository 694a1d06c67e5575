import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { noPace } from "../pace.ts";
import { consolidate } from "./consolidate.ts";
import { push } from "./remote.ts";
import { cutHistory } from "./shallow.ts";
import { backups, cleanUpAfterEach, everything, foreign, fsck, git, more, served, soon } from "./testing/remote-bench.ts";

cleanUpAfterEach();

describe("a push to a git server", { timeout: 60_000 }, () => {
  it("arrives over TLS with credentials, whole and sound, and so does the next one", async () => {
    const { dir, remote } = await served({ user: "aether", token: "s3cret", tls: true });
    const repository = await backups(4);
    const told: string[] = [];
    const first = await push(repository, remote, { ...soon, onProgress: ({ phase }) => told.push(phase) });
    expect(first).toMatchObject({ ok: true, pushed: await repository.head() });
    expect(told).toEqual(expect.arrayContaining(["gathering", "sending"]));
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(fsck(dir)).toBe("");
    await more(repository, 4, 60);
    await consolidate(repository, { pace: noPace });
    await more(repository, 64, 2);
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true, pushed: await repository.head() });
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(fsck(dir)).toBe("");
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true, objects: 0 });
    // a server whose certificate nobody vouches for is none
    const stranger = await push(repository, { url: remote.url, credentials: remote.credentials }, soon);
    expect(stranger).toMatchObject({ ok: false, kind: "unreachable", why: expect.stringContaining("CERT") });
  });

  it("is refused in the server's words, and these never hold the token", async () => {
    const { dir, server, remote } = await served({ user: "aether", token: "s3cret" });
    const repository = await backups(2);
    const wrong = await push(repository, { ...remote, credentials: { user: "aether", token: redact("wr0ng") } }, soon);
    expect(wrong).toMatchObject({ ok: false, kind: "refused", why: expect.stringContaining("401") });
    expect(JSON.stringify(wrong)).not.toMatch(/wr0ng|YWV0aGVy/);
    writeFileSync(join(dir, "hooks/pre-receive"), "#!/bin/sh\necho 'backups are frozen until monday, s3cret' >&2\nexit 1\n");
    chmodSync(join(dir, "hooks/pre-receive"), 0o755);
    const hooked = await push(repository, remote, soon);
    expect(hooked).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringMatching(/pre-receive hook declined.*frozen until monday, \*\*\*/),
    });
    expect(await push(repository, { ...remote, url: `${server.url}b.git` }, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("404"),
    });
    const inUrl = remote.url.replace("//", "//aether:s3cret@");
    const shown = await push(repository, { url: inUrl, credentials: null }, soon);
    expect(shown).toMatchObject({ ok: false, kind: "refused", why: expect.stringContaining("credentials in it") });
    expect(JSON.stringify(shown)).not.toContain("s3cret");
    expect(readFileSync(join(repository.dir, "config"), "utf8")).not.toContain("s3cret");
    expect(() => git(dir, "rev-parse", "--verify", "main")).toThrow();
  });

  it("overwrites nobody's commits unless that is asked for", async () => {
    const { dir, remote } = await served();
    const repository = await backups(3);
    await push(repository, remote, soon);
    const theirs = foreign(dir);
    await more(repository, 3, 1);
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "diverged",
      why: expect.stringContaining(theirs.slice(0, 12)),
    });
    expect(git(dir, "rev-parse", "main").trim()).toBe(theirs);
    expect(await push(repository, remote, { ...soon, force: true })).toMatchObject({ ok: true });
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(fsck(dir)).toBe("");
    git(dir, "config", "receive.denyNonFastForwards", "true");
    const again = foreign(dir);
    expect(await push(repository, remote, { ...soon, force: true })).toMatchObject({ ok: false, kind: "diverged" });
    expect(git(dir, "rev-parse", "main").trim()).toBe(again);
  });

  it("of a history that was cut is taken by a server that allows it, and refused by one that does not", async () => {
    const { dir, remote } = await served();
    const repository = await backups(6);
    await cutHistory(repository, 2);
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("shallow"),
    });
    git(dir, "config", "receive.shallowUpdate", "true");
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true });
    expect(git(dir, "rev-list", "--count", "main").trim()).toBe("2");
    expect(fsck(dir)).toBe("");
  });

  it("that is cut off changes nothing there, and is done again", async () => {
    let cut = true;
    const before = (request: IncomingMessage): boolean => {
      if (!cut || request.method !== "POST") return false;
      request.on("data", () => request.socket.destroy());
      return true;
    };
    const { dir, remote } = await served({ before });
    const repository = await backups(3);
    const failed = await push(repository, remote, soon);
    expect(failed).toMatchObject({ ok: false, kind: "unreachable", why: expect.stringContaining("not to the end") });
    expect(() => git(dir, "rev-parse", "--verify", "main")).toThrow();
    cut = false;
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true });
    expect(everything(dir)).toBe(everything(repository.dir));
  });

  it("to one that hangs, is in trouble, is no git server, or is not there, ends by itself", async () => {
    let how = "hang";
    const before = (request: IncomingMessage, response: ServerResponse): boolean => {
      request.resume();
      if (how === "trouble") response.writeHead(503).end("come back later");
      if (how === "page") response.writeHead(200, { "content-type": "text/html" }).end("<html>hello</html>");
      if (how === "nonsense")
        response.writeHead(200, { "content-type": "application/x-git-receive-pack-advertisement" }).end("0123nonsense");
      if (how === "half")
        response
          .writeHead(200, { "content-type": "application/x-git-receive-pack-advertisement" })
          .write("001f# service=git-receive-pack\n0000");
      return true;
    };
    const { remote, server } = await served({ before });
    const repository = await backups(1);
    expect(await push(repository, remote, { ...soon, idleMs: 200 })).toMatchObject({
      ok: false,
      kind: "unreachable",
      why: expect.stringContaining("silent for 200 ms"),
    });
    expect(await push(repository, remote, { ...soon, deadlineMs: 200 })).toMatchObject({
      ok: false,
      kind: "unreachable",
      why: expect.stringContaining("longer than it may"),
    });
    const stop = new AbortController();
    const stopped = push(repository, remote, { ...soon, signal: stop.signal });
    stop.abort(new Error("this member leads no more"));
    expect(await stopped).toMatchObject({ ok: false, kind: "unreachable", why: "this member leads no more" });
    how = "half";
    expect(await push(repository, remote, { ...soon, idleMs: 200 })).toMatchObject({ ok: false, kind: "unreachable" });
    how = "trouble";
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "unreachable",
      why: expect.stringContaining("come back later"),
    });
    how = "page";
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("not as a git repository"),
    });
    how = "nonsense";
    expect(await push(repository, remote, soon)).toMatchObject({ ok: false, kind: "refused" });
    await server.close();
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "unreachable",
      why: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("follows a redirect within the server, and takes its credentials to no other", async () => {
    const other = await served({ user: "aether", token: "s3cret" });
    let to = "";
    const before = (request: IncomingMessage, response: ServerResponse): boolean => {
      const moved = request.url?.startsWith("/old.git") === true;
      if (moved) response.writeHead(301, { location: `${to}/info/refs?service=git-receive-pack` }).end();
      return moved;
    };
    const { dir, server, remote } = await served({ user: "aether", token: "s3cret", before });
    const repository = await backups(2);
    const old = { ...remote, url: `${server.url}old.git` };
    to = "/a.git";
    expect(await push(repository, old, soon)).toMatchObject({ ok: true });
    expect(everything(dir)).toBe(everything(repository.dir));
    to = `${other.server.url}a.git`;
    expect(await push(repository, old, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("another place"),
    });
    expect(other.server.asked).toEqual([]);
    to = "/old.git";
    expect(await push(repository, old, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("without end"),
    });
  });
});
