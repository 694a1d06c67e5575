import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BackedUp } from "@aether/store/backup/testing/backed-up";
import { serveGit } from "@aether/store/git/testing/git-server";
import type { EntryAnswer, MemberAnswer, SettingsAnswer } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import { readContexts } from "../context/contexts.ts";
import { exit, Failure } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";
import { stepNamesFromBackup } from "./journal.ts";

const toml = (size: number): string =>
  `[cluster]\nname = "{name}"\nsize = ${size}\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n`;

/** A backup of another cluster, "home", of three members. */
async function makeBackup(): Promise<{ readonly source: BackedUp; readonly old: string; readonly newest: string }> {
  const source = await BackedUp.start();
  await source.set("app/x", 1);
  const old = await source.writer.backup("first");
  await source.set("app/x", { deep: ["value"] }, "why");
  await source.set("cpu_warning", 0.5);
  await source.ask({ type: "RemoveSetting", id: "disk_critical" });
  await source.ask({ type: "DrainNode", id: "n1", reason: "its fan" });
  const newest = await source.writer.backup("second");
  if (old === null || newest === null) throw new Error("there was something to back up");
  return { source, old: old.commit, newest: newest.commit };
}

/** Names, sizes and times of all files below. */
const picture = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => `${name} ${statSync(join(dir, name)).size} ${statSync(join(dir, name)).mtimeMs}`);

describe("a cluster that is made from a backup", () => {
  const operators: Operator[] = [];
  const operator = (name: string, size = 1): Operator => {
    const made = new Operator(name, toml(size));
    operators.push(made);
    return made;
  };
  let backup: Awaited<ReturnType<typeof makeBackup>>;
  let before: readonly string[];
  beforeAll(async () => {
    backup = await makeBackup();
    chmodSync(join(backup.source.dir, "objects/pack"), 0o555);
    before = picture(backup.source.dir);
  });
  afterAll(async () => {
    for (const one of operators) await one.dispose();
    chmodSync(join(backup.source.dir, "objects/pack"), 0o755);
    await backup.source.end();
  });
  const from = (one: Operator, commit = "", env: Record<string, string> = {}) => {
    const place = commit === "" ? backup.source.dir : `${backup.source.dir}@${commit}`;
    return one.begin(["cluster", "bootstrap", "--config", one.file, "--from-backup", place], env);
  };
  const settings = async (one: Operator) =>
    new Map((await one.json<SettingsAnswer>("settings", "list")).settings.map(({ key, value }) => [key, value]));

  describe("though it is killed at each of its fourteen steps", () => {
    const killed = operator("anew");
    const ids = new Set<string>();

    it.each(stepNamesFromBackup.map((name, at) => [at + 1, name] as const))("at step %i, %s, too", async (number, name) => {
      const run = from(killed);
      await run.sees(`[${String(number).padStart(2)}/14] ${name} …`);
      run.process.kill("SIGKILL");
      const { signal, code } = await run.ended;
      // the last step may be over before the signal comes
      if (number === stepNamesFromBackup.length && code === exit.done) return;
      expect(signal).toBe("SIGKILL");
      if (number > 6) ids.add(killed.journal().identity?.clusterId ?? "");
      if (number > 1) expect(killed.journal().state).toBe("forming");
    });

    it("wants what the backup's cluster wanted, under an identity of its own", async () => {
      const last = await from(killed).ended;
      expect(last, last.stderr).toMatchObject({
        code: exit.done,
        stdout: expect.stringContaining("cluster anew is ready: 1 member"),
      });
      ids.add(killed.journal().identity?.clusterId ?? "");
      expect(ids.size).toBe(1);
      expect(ids.has("ab".repeat(16))).toBe(false);
      const now = await settings(killed);
      expect(now.get("app/x")).toEqual({ deep: ["value"] });
      expect([now.get("cpu_warning"), now.has("disk_critical"), now.get("cpu_critical")]).toEqual([0.5, false, 0.9]);
      const node = await killed.run("node", "list");
      expect(node.stdout).toMatch(/n1 +1 +on-duty/);
    });

    it("was restored once, in one step, before it was called ready", async () => {
      const { stdout } = await killed.run("events", "-o", "json");
      const entries = stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as EntryAnswer);
      const indexOf = (type: string) =>
        entries.flatMap(({ index, events }) => events.filter((e) => e.type === type).map(() => index));
      expect(indexOf("RestoreApplied")).toHaveLength(1);
      expect(indexOf("ClusterReady")).toHaveLength(1);
      expect(indexOf("RestoreApplied")[0]).toBeLessThan(indexOf("ClusterReady")[0] ?? 0);
      expect(killed.journal().fromBackup).toMatchObject({ commit: backup.newest, restored: { things: 3 } });
    });

    it("has left the repository as it was, to the last byte and time", () => {
      expect(picture(backup.source.dir)).toEqual(before);
    });

    it("is found ready the next time, and no other backup is taken over it", async () => {
      const journal = killed.journal();
      expect(await from(killed).ended).toMatchObject({
        code: exit.done,
        stderr: expect.stringContaining("already there: restored"),
      });
      const other = await from(killed, backup.old).ended;
      expect(other).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("aether backup restore") });
      expect((await killed.bootstrap()).code).toBe(exit.done);
      expect(killed.journal()).toEqual(journal);
    });
  });

  it("is restored whole though it is killed again and again while a large backup is staged", async () => {
    const large = await BackedUp.start();
    const one = operator("large");
    try {
      for (let at = 0; at < 3_000; at++) await large.set(`many/${at}`, `${at} ${"x".repeat(600)}`);
      await large.writer.backup("many");
      const words = ["cluster", "bootstrap", "--config", one.file, "--from-backup", large.dir];
      for (const afterMs of [0, 150, 600]) {
        const run = one.begin(words);
        await Promise.race([run.sees("[13/14] restore the backup …"), run.ended]);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        run.process.kill("SIGKILL");
        await run.ended;
        // Nobody sees a part of it, whatever was staged.
        const there = [...(await settings(one)).keys()].filter((key) => key.startsWith("many/"));
        expect([0, 3_000]).toContain(there.length);
      }
      const last = await one.begin(words).ended;
      expect(last.code, last.stderr).toBe(exit.done);
      const now = await settings(one);
      for (let at = 0; at < 3_000; at++) expect(now.get(`many/${at}`)).toBe(`${at} ${"x".repeat(600)}`);
      expect(one.journal().fromBackup?.restored).toMatchObject({ things: 3_000 });
    } finally {
      await large.end();
    }
  });

  it("has the state of the commit that is named, and is not finished from another one or without it", async () => {
    const named = operator("named");
    const begun = from(named, backup.old.slice(0, 12));
    await begun.sees("[ 8/14]");
    begun.process.kill("SIGKILL");
    await begun.ended;
    const without = await named.bootstrap();
    expect(without).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("was begun from the backup") });
    expect((await from(named, backup.newest).ended).code).toBe(exit.rejected);
    expect((await from(named, backup.old.slice(0, 12)).ended).code).toBe(exit.done);
    const now = await settings(named);
    expect([now.get("app/x"), now.get("cpu_warning"), now.has("disk_critical")]).toEqual([1, 0.75, true]);
  });

  it("is not begun from what is damaged, missing or no repository: nothing is made", async () => {
    const none = operator("none");
    const copy = join(none.folder, "copy.git");
    cpSync(backup.source.dir, copy, { recursive: true });
    chmodSync(join(copy, "objects/pack"), 0o755);
    for (const name of readdirSync(join(copy, "objects/pack")).filter((file) => file.endsWith(".pack"))) {
      const path = join(copy, "objects/pack", name);
      const bytes = readFileSync(path);
      bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 0x10;
      writeFileSync(path, bytes);
    }
    const bootstrap = (place: string) => none.run("cluster", "bootstrap", "--config", none.file, "--from-backup", place);
    const damaged = await bootstrap(copy);
    expect(damaged).toMatchObject({ code: exit.failed, stderr: expect.stringMatching(/damaged|cannot be read/) });
    expect((await bootstrap(`${backup.source.dir}@0123456789`)).code).toBe(exit.notFound);
    expect((await bootstrap(join(none.folder, "nothing"))).code).toBe(exit.usage);
    expect((await bootstrap("ssh://git.example/x")).code).toBe(exit.usage);
    expect(none.instances()).toEqual([]);
    expect(existsSync(join(none.clusterFolder, "pki"))).toBe(false);
    // What could not be taken does not stand in the way of what can.
    const place = `${backup.source.dir}@${backup.newest}`;
    expect((await bootstrap(place)).code).toBe(exit.done);
  });

  it("is made from a git server, with a token that nobody sees", async () => {
    const one = operator("network");
    const token = "a-token-nobody-sees";
    const server = await serveGit(join(backup.source.dir, ".."), { user: "fleet", token, tls: true });
    const authority = join(one.folder, "authority.pem");
    writeFileSync(authority, server.ca);
    const repository = `${server.url}backup.git`;
    const bootstrap = (env: Record<string, string>) =>
      one.begin(["cluster", "bootstrap", "--config", one.file, "--from-backup", repository], {
        NODE_EXTRA_CA_CERTS: authority,
        ...env,
      }).ended;
    try {
      const wrong = await bootstrap({ AETHER_BACKUP_TOKEN: `${token}-no-more`, AETHER_BACKUP_USER: "fleet" });
      expect(wrong).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("AETHER_BACKUP_TOKEN") });
      expect(one.instances()).toEqual([]);
      const done = await bootstrap({ AETHER_BACKUP_TOKEN: token, AETHER_BACKUP_USER: "fleet" });
      expect(done.code, done.stderr).toBe(exit.done);
      expect((await settings(one)).get("app/x")).toEqual({ deep: ["value"] });
      const files = readdirSync(one.clusterFolder, { recursive: true, encoding: "utf8", withFileTypes: true });
      const texts = files.filter((file) => file.isFile()).map((file) => readFileSync(join(file.parentPath, file.name), "latin1"));
      for (const text of [...texts, wrong.stdout, wrong.stderr, done.stdout, done.stderr]) expect(text).not.toContain(token);
      expect(existsSync(join(one.clusterFolder, "from-backup.git"))).toBe(false);
      expect(server.asked.every((line) => !line.includes("receive-pack"))).toBe(true);
    } finally {
      await server.close();
    }
  });

  it("refuses the nodes and operators of another cluster, though it has its name and its state, and they refuse it", async () => {
    const [first, second] = [operator("twins"), operator("twins")];
    expect((await from(first).ended).code).toBe(exit.done);
    expect((await from(second).ended).code).toBe(exit.done);
    const contextOf = async (one: Operator) => {
      const [context] = (await readContexts(one.home)).contexts;
      if (context === undefined) throw new Error("there is a context");
      return context;
    };
    const [a, b] = [await contextOf(first), await contextOf(second)];
    expect(a.cluster.id).not.toBe(b.cluster.id);
    const strangers = [
      { ...a, endpoints: b.endpoints },
      { ...b, endpoints: a.endpoints },
      // A daemon of the one, with its own certificate, believing whoever answers for the other.
      { ...b, certificate: join(first.clusterFolder, "pki/n1.pem"), key: join(first.clusterFolder, "pki/n1.key") },
      { ...a, certificate: join(second.clusterFolder, "pki/n1.pem"), key: join(second.clusterFolder, "pki/n1.key") },
    ];
    for (const stranger of strangers) {
      const connection = await connectContext(stranger);
      await expect(connection.api.call<MemberAnswer>("GET", "/v1/member")).rejects.toThrow(Failure);
      connection.close();
    }
  });
});
