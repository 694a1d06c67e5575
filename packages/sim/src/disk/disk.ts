import type { TextFile } from "@aether/node/member/floors";
import type { Stream } from "../world/stream.ts";
import type { Device } from "./device.ts";
import { LogDisk } from "./log-disk.ts";
import { FileDisk } from "./file-disk.ts";
import { FolderDisk } from "./folder-disk.ts";
import { StateFolder } from "./state-disk.ts";

/** All that a machine keeps when its process ends. */
export class Disk {
  readonly log: LogDisk;
  readonly state: StateFolder;
  readonly snapshots: FileDisk;
  readonly backups: FolderDisk;
  /** What it knows of others' disks; it outlives a log that is retired. */
  readonly floors: SmallFile;

  constructor(
    { log, state, snapshots, backups, floors }: Pick<Disk, "log" | "state" | "snapshots" | "backups" | "floors"> = {
      log: new LogDisk(),
      state: new StateFolder(),
      snapshots: new FileDisk(),
      backups: new FolderDisk(),
      floors: new SmallFile(),
    },
  ) {
    this.log = log;
    this.state = state;
    this.snapshots = snapshots;
    this.backups = backups;
    this.floors = floors;
  }

  /** Gives what became of the snapshots' files. Backups have a stream of chance of their own. */
  crash(stream: Stream, ofBackups: Stream): ReturnType<FileDisk["crash"]> {
    this.backups.crash(ofBackups);
    this.log.crash(stream);
    this.state.crash(stream);
    this.floors.crash(stream);
    return this.snapshots.crash(stream);
  }

  /** An image of the whole disk, of a moment in which no process runs on it. */
  clone(): Disk {
    const { log, state, snapshots, backups, floors } = this;
    return new Disk({
      log: log.clone(),
      state: state.clone(),
      snapshots: snapshots.clone(),
      backups: backups.clone(),
      floors: floors.clone(),
    });
  }

  /** What stays when the log is moved aside: the floors. */
  retired(): Disk {
    const { floors } = this;
    return new Disk({
      log: new LogDisk(),
      state: new StateFolder(),
      snapshots: new FileDisk(),
      backups: new FolderDisk(),
      floors,
    });
  }
}

/** A file that is written aside, synced and renamed: the old text or the new one. */
export class SmallFile {
  text: string | null;
  #flying: string | null = null;

  constructor(text: string | null = null) {
    this.text = text;
  }

  on(device: Device): TextFile {
    return {
      read: () => Promise.resolve(this.text),
      write: (text) => {
        return device.write("floors", () => {
          this.#flying = text;
          return () => {
            this.text = text;
            this.#flying = null;
          };
        });
      },
    };
  }

  crash(stream: Stream): void {
    if (this.#flying !== null && stream.chance(0.5)) this.text = this.#flying;
    this.#flying = null;
  }

  clone(): SmallFile {
    return new SmallFile(this.text);
  }
}
