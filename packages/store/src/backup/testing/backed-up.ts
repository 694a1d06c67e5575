/** A member with the real nouns, and its backup's repository in a folder beside it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { clusterId, firstMembers, initialise, memberOf } from "@aether/core/testing/rules-bench";
import { OneMember, operator } from "../../events/testing/one-member.ts";
import { noPace } from "../../pace.ts";
import type { Answer } from "../../types.ts";
import { BackupReader } from "../backup-reader.ts";
import { BackupWriter, type BackupWriterOptions } from "../backup-writer.ts";

export const home = { id: clusterId, name: "home" };

/** No configuration of whoever runs the tests counts. */
const environment = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };

/** Git itself, in a folder. Throws when it fails. */
export const git = (dir: string, ...args: string[]): string =>
  execFileSync("git", ["-C", dir, ...args], {
    encoding: "utf8",
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 28,
  });

/** What git has to say against the repository; "" for nothing. */
export const fsck = (dir: string): string => git(dir, "fsck", "--strict", "--full", "--no-dangling");

export class BackedUp {
  readonly member: OneMember;
  readonly dir: string;
  writer!: BackupWriter;
  private readonly folder: string;
  private readonly options: Partial<BackupWriterOptions>;

  private constructor(member: OneMember, folder: string, options: Partial<BackupWriterOptions>) {
    this.member = member;
    this.folder = folder;
    this.dir = join(folder, "backup.git");
    this.options = options;
  }

  /** A ready cluster of three, of which this member leads. */
  static async start(options: Partial<BackupWriterOptions> = {}): Promise<BackedUp> {
    const member = await OneMember.start({ registry });
    member.lead();
    const made = new BackedUp(member, mkdtempSync(join(tmpdir(), "aether-backup-")), options);
    await made.ask(initialise(3));
    for (const { name, member: number } of firstMembers(3))
      await made.ask({ type: "AdmitNode", id: name, member: number }, memberOf("n1"));
    await made.ask({ type: "MarkClusterReady", id: "home" });
    await made.open();
    return made;
  }

  /** A writer that knows nothing of what an earlier one did. */
  async open(options: Partial<BackupWriterOptions> = {}): Promise<void> {
    const { store } = this.member;
    const given = { dir: this.dir, store, registry, cluster: home, pace: noPace, ...this.options, ...options };
    this.writer = await BackupWriter.open(given);
  }

  reader(): Promise<BackupReader> {
    return BackupReader.open(this.dir, registry);
  }

  /** Throws when it is refused. */
  async ask(command: Command, actor: Identity = operator): Promise<Answer> {
    const answer = await this.member.ask(command, null, actor);
    if (!answer.ok) throw new Error(`${command.type}: ${JSON.stringify(answer.rejection)}`);
    return answer;
  }

  set(id: string, value: unknown, description = ""): Promise<Answer> {
    return this.ask({ type: "SetSetting", id, value, description });
  }

  git(...args: string[]): string {
    return git(this.dir, ...args);
  }

  async end(): Promise<void> {
    this.writer.close();
    await this.member.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
