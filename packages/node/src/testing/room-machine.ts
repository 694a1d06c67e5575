/** One machine of the machine room: its disk, its address, and what runs on it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { make as redact } from "effect/Redacted";
import { bundleMark, paths } from "../enrolment/start-script.ts";
import { readUserData } from "../enrolment/user-data.ts";
import { parseUnit, type UnitFile } from "./unit-file.ts";

export interface MachineParts {
  /** A folder that is first in PATH. */
  readonly tools: string;
  readonly env: () => Readonly<Record<string, string>>;
  /** What an image with the bundle in it has: the daemon's entry file and the digest it is known by. Null: it has none. */
  readonly installed: { readonly entry: string; readonly sha256: string } | null;
}

/** More ends of one process are looked into by a person. */
const restartsMax = 20;
const scriptMs = 120_000;

export class RoomMachine {
  readonly name: string;
  readonly address: string;
  /** What stands for its disk. */
  readonly root: string;
  /** Everything that its processes wrote on their outputs. */
  readonly logFile: string;
  readonly #parts: MachineParts;
  /** Switched on, in the vendor's eyes; a start that waits in the queue is not made when it has become false. */
  #isOn = true;
  #daemon: ChildProcess | null = null;
  #script: ChildProcess | null = null;
  #restarts = 0;
  #waking: NodeJS.Timeout | undefined;
  /** One thing after the other. */
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: MachineParts, name: string, root: string, address: string) {
    this.#parts = parts;
    this.name = name;
    this.root = root;
    this.address = address;
    this.logFile = join(root, "var/log/aetherd.log");
  }

  /** Of its daemon, while one runs. */
  get pid(): number | null {
    return this.#daemon?.pid ?? null;
  }

  boot(userData: string): Promise<void> {
    return this.#then(() => this.#firstBoot(userData));
  }

  start(): Promise<void> {
    return this.#then(async () => {
      this.#isOn = true;
      await this.#startUnits("enable");
    });
  }

  stop(how: "graceful" | "hard"): Promise<void> {
    if (how === "hard") this.#pullThePlug();
    return this.#then(() => this.#end(how));
  }

  destroy(): Promise<void> {
    this.#pullThePlug();
    return this.#then(async () => {
      await this.#end("hard");
      await rm(this.root, { recursive: true, force: true, maxRetries: 3 });
    });
  }

  #then(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work).catch((error: unknown) => this.#say(`the machine broke: ${String(error)}`));
    return this.#queue;
  }

  async #firstBoot(userData: string): Promise<void> {
    await mkdir(dirname(this.logFile), { recursive: true });
    await this.#install();
    const config = readUserData(redact(userData));
    for (const { path, permissions, content } of config.write_files) {
      const file = join(this.root, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content, { mode: Number.parseInt(permissions, 8) });
    }
    for (const command of config.runcmd) {
      const code = await this.#run(command.map((word) => this.#onDisk(word)));
      if (code !== 0) await this.#say(`${command.join(" ")} ended with ${String(code)}`);
    }
    await this.#startUnits("start");
  }

  /** What the machine's image has in it. */
  async #install(): Promise<void> {
    const { installed } = this.#parts;
    if (installed === null) return;
    const home = join(this.root, paths.home);
    await mkdir(join(home, "bin"), { recursive: true });
    await symlink(process.execPath, join(home, "bin/node"));
    await symlink(installed.entry, join(home, "aetherd.js"));
    await writeFile(join(home, bundleMark), `${installed.sha256}\n`);
  }

  /** `which`: what systemctl was told to start, or to start at each boot. */
  async #startUnits(which: "start" | "enable"): Promise<void> {
    const names = await readdir(join(this.root, "run", which)).catch(() => []);
    if (!this.#isOn || this.#daemon !== null) return;
    for (const name of names) await this.#startUnit(join(this.root, dirname(paths.unit), name));
  }

  async #startUnit(file: string): Promise<void> {
    const unit = parseUnit(await readFile(file, "utf8"));
    for (const command of unit.before) {
      const code = await this.#run(command.map((word) => this.#onDisk(word)));
      if (code === 0) continue;
      await this.#say(`${command.join(" ")} ended with ${String(code)}`);
      return this.#startLater(unit, file);
    }
    if (!this.#isOn) return;
    const state = unit.stateDirectory === null ? this.root : join(this.root, "var/lib", unit.stateDirectory);
    await mkdir(state, { recursive: true, mode: 0o700 });
    const log = await open(this.logFile, "a");
    const [program = "", ...args] = unit.command.map((word) => this.#onDisk(word));
    const env = { ...this.#environment(), AETHER_BIND: this.address, STATE_DIRECTORY: state };
    const daemon = spawn(program, args, { cwd: this.root, env, detached: true, stdio: ["ignore", log.fd, log.fd] });
    daemon.once("error", (error) => void this.#say(`cannot start ${program}: ${error.message}`));
    daemon.once("exit", (code, signal) => {
      this.#daemon = null;
      const isFailure = code === null ? signal !== "SIGTERM" : code !== 0 && !unit.restart.notOn.has(code);
      if (isFailure && unit.restart.onFailure) this.#startLater(unit, file);
    });
    this.#daemon = daemon;
    await log.close();
  }

  #startLater(unit: UnitFile, file: string): void {
    if (!this.#isOn || this.#restarts >= restartsMax) return;
    this.#restarts += 1;
    this.#waking = setTimeout(() => {
      void this.#then(async () => {
        if (this.#isOn && this.#daemon === null) await this.#startUnit(file);
      });
    }, unit.restart.afterMs);
  }

  #pullThePlug(): void {
    this.#isOn = false;
    clearTimeout(this.#waking);
    for (const running of [this.#script, this.#daemon]) kill(running, "SIGKILL");
  }

  async #end(how: "graceful" | "hard"): Promise<void> {
    this.#isOn = false;
    clearTimeout(this.#waking);
    const daemon = this.#daemon;
    if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    kill(daemon, how === "hard" ? "SIGKILL" : "SIGTERM");
    const late = setTimeout(() => kill(daemon, "SIGKILL"), 30_000);
    await ended;
    clearTimeout(late);
  }

  /** A path on the machine as the computer knows it: on its disk if it is there, and otherwise the computer's own program. */
  #onDisk(word: string): string {
    const file = join(this.root, word);
    return word.startsWith("/") && existsSync(file) ? file : word;
  }

  #environment(): Record<string, string> {
    const PATH = `${this.#parts.tools}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
    return { ...this.#parts.env(), PATH, HOME: this.root, AETHER_ROOT: this.root, AETHER_RETRY_S: "1" };
  }

  /** Resolves with the exit code, or null when it was killed. */
  async #run([program = "", ...args]: readonly string[]): Promise<number | null> {
    if (!this.#isOn) return null;
    const log = await open(this.logFile, "a");
    const child = spawn(program, args, {
      cwd: this.root,
      env: this.#environment(),
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    this.#script = child;
    const late = setTimeout(() => kill(child, "SIGKILL"), scriptMs);
    try {
      const [code] = (await once(child, "exit")) as [number | null];
      return code;
    } finally {
      clearTimeout(late);
      this.#script = null;
      await log.close();
    }
  }

  async #say(line: string): Promise<void> {
    await writeFile(this.logFile, `${line}\n`, { flag: "a" }).catch(() => undefined);
  }
}

/** With all that it started: each is the head of a group of its own. */
function kill(child: ChildProcess | null, signal: "SIGTERM" | "SIGKILL"): void {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in this very moment.
  }
}
