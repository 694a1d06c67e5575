import { cpSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseNodeFile } from "@aether/core/config/node-file";
import { deriveCa } from "../identity/cluster-ca.ts";
import { freePort } from "../testing/cluster-harness.ts";
import { prepareAetherd, type Aetherd } from "./aetherd-process.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { makeLog } from "./log.ts";
import { memberAnswer, ownNotes } from "./own-notes.ts";

const cluster = { id: "00112233445566778899aabbccddeeff", name: "test" };

class Exited extends Error {
  readonly code: ExitCode;
  constructor(code: ExitCode) {
    super(`exit ${code}`);
    this.code = code;
  }
}

describe("a daemon's life, without its face", () => {
  let folder = "";
  let lines: string[] = [];
  const make = async (endingMs?: number): Promise<Aetherd> => {
    const ca = await deriveCa("secret", cluster.name);
    const issued = await ca.issue({ clusterId: cluster.id, role: "member", name: "n1", hosts: ["127.0.0.1"], days: 1 });
    const tls = { ca: ca.certificate, ...issued };
    const port = await freePort();
    const advertise = `127.0.0.1:${port}`;
    const text = {
      cluster,
      node: { name: "n1", member: 1 },
      listen: { host: "127.0.0.1", port },
      advertise,
      dataDir: folder,
      seeds: [],
      tls,
    };
    const parsed = parseNodeFile(JSON.stringify(text));
    if ("errors" in parsed) throw new Error(parsed.errors.join());
    const log = makeLog(
      (line) => lines.push(line),
      () => new Date(0),
    );
    const exit = (code: ExitCode): never => {
      throw new Exited(code);
    };
    return prepareAetherd({
      configuration: parsed.ok,
      tls,
      remoteToken: null,
      log,
      exit,
      ...(endingMs === undefined ? {} : { endingMs }),
    });
  };
  const bootstrap = { cluster, members: [{ name: "n1", member: 1, address: "127.0.0.1:1" }] };
  const until = async (d: Aetherd, phase: string): Promise<void> => {
    for (let n = 0; n < 500 && d.phase.p !== phase; n++) await new Promise((resume) => setTimeout(resume, 10));
    expect(d.phase.p).toBe(phase);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-life-"));
    lines = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("waits for a folder, is formatted once however often it is asked at once, runs, and ends in order", async () => {
    const d = await make();
    const life = d.live();
    await until(d, "waiting");
    expect(ownNotes(d)).toMatchObject({ member: 0, initialised: false });
    const made = await Promise.all([d.bootstrap(bootstrap), d.bootstrap(bootstrap), d.bootstrap(bootstrap)]);
    expect(made.map((m) => ("created" in m ? m.created : m.reason)).filter((created) => created === true)).toEqual([true]);
    await life;
    await until(d, "running");
    expect(memberAnswer(d)).toMatchObject({ node: "n1", member: 1, cluster });
    expect(await d.bootstrap(bootstrap)).toEqual({ member: 1, created: false });
    const others = [...bootstrap.members, { name: "n2", member: 2, address: "127.0.0.1:2" }];
    expect(await d.bootstrap({ cluster, members: others })).toMatchObject({ reason: "conflict" });
    await d.end(exitCodes.done, "the test is over");
    await d.end(exitCodes.removed, "too late");
    expect(await d.ended).toEqual({ code: 0, why: "the test is over" });
    expect(d.phase.p).toBe("ended");

    const again = await make();
    await again.live();
    await until(again, "running");
    await again.end(exitCodes.done, "again");
  });

  it("retires a folder whose rows reach beyond its log, and waits to be taken in", async () => {
    const run = async (): Promise<Aetherd> => {
      const d = await make();
      const life = d.live();
      if (lines.every((line) => !line.includes("formatted"))) {
        await until(d, "waiting");
        await d.bootstrap(bootstrap);
      }
      await life;
      const settled = (): boolean => {
        const { role, index, last } = memberAnswer(d);
        return role === "leader" && index === last;
      };
      for (let n = 0; n < 400 && !settled(); n++) await new Promise((resume) => setTimeout(resume, 10));
      expect(settled()).toBe(true);
      await d.end(exitCodes.done, "the test goes on");
      return d;
    };
    await run();
    for (const part of ["log", "guard"]) cpSync(join(folder, part), join(folder, `older-${part}`), { recursive: true });
    await run();
    for (const part of ["log", "guard"]) {
      rmSync(join(folder, part), { recursive: true });
      cpSync(join(folder, `older-${part}`), join(folder, part), { recursive: true });
    }
    rmSync(join(folder, "floors.json"), { force: true });
    lines = [];
    const d = await make();
    const life = d.live();
    await until(d, "waiting");
    expect(lines.find((line) => line.includes("verdict=lost-belowFloor"))).toMatch(
      /its rows are of entry \d+, but its log ends at \d+/,
    );
    await d.end(exitCodes.done, "the test is over");
    await life;
  });

  it("answers a bootstrap for another cluster with a conflict while it waits", async () => {
    const d = await make();
    const life = d.live();
    await until(d, "waiting");
    expect(await d.bootstrap({ ...bootstrap, cluster: { ...cluster, name: "other" } })).toMatchObject({ reason: "conflict" });
    await d.end(exitCodes.done, "the test is over");
    await life;
  });

  it("says what to mend when its folder cannot be written, and is bootstrapped once it can", async () => {
    const d = await make();
    const life = d.live();
    await until(d, "waiting");
    mkdirSync(join(folder, "members.json.tmp"));
    const refused = await d.bootstrap(bootstrap);
    expect(refused).toMatchObject({ reason: "not_ready", message: expect.stringMatching(/cannot be written: EISDIR/) as string });
    expect(lines.at(-1)).toMatch(/ error format-failed message="EISDIR.+" next=".+"/);
    rmdirSync(join(folder, "members.json.tmp"));
    expect(await d.bootstrap(bootstrap)).toEqual({ member: 1, created: true });
    await life;
    await d.end(exitCodes.done, "the test is over");
  });

  it("ends in time though its disk hangs: others have been told that it is gone", async () => {
    const d = await make(50);
    const life = d.live();
    await until(d, "waiting");
    await d.bootstrap(bootstrap);
    await life;
    await until(d, "running");
    if (d.phase.p !== "running") throw new Error("it does not run");
    const { member } = d.phase.services;
    const close = member.storage.close.bind(member.storage);
    let hang: () => void = () => undefined;
    member.storage.close = () => new Promise<void>((resolve) => (hang = resolve)).then(close);
    await d.end(exitCodes.differs, "its world differs");
    expect(await d.ended).toEqual({ code: 71, why: "its world differs" });
    expect(lines.at(-1)).toContain("not in order within 50 ms");
    hang();
    await member.stop();
  });

  it("ends the process with 70 and a last line that says why, when nothing can be trusted any more", async () => {
    const d = await make();
    expect(() => d.fatal(new Error("fsync: EIO"))).toThrow("exit 70");
    expect(lines.at(-1)).toMatch(/ error fatal error=Error message="fsync: EIO" next=".+"$/);
    await d.end(exitCodes.done, "the test is over");
  });
});
