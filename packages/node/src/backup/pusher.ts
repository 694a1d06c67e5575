/** Pushes what was recorded to the remote: again and again until it is taken, and never over what somebody else has put there. */
import { backupsOf } from "@aether/core/backup-job/state";
import type { Command } from "@aether/core/kernel/command";
import type { Pushed } from "@aether/store/git/remote";
import type { Answer, EventStore } from "@aether/store/types";
import type { Log } from "../daemon/log.ts";
import { BackOff } from "./schedule.ts";

export interface PusherOptions {
  readonly cluster: { readonly name: string };
  /** Null: nothing is pushed. */
  readonly remote: string | null;
  readonly store: Pick<EventStore, "world" | "role">;
  readonly push: (how: { readonly force: boolean }) => Promise<Pushed>;
  readonly submit: (command: Command) => Promise<Answer>;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const failedMs = [5_000, 600_000] as const;

const hints = {
  diverged: "the remote has commits that are not of this line: look at it; aether backup push --force replaces them",
  refused: "look at [backup] remote, remote_user and remote_token; it is tried again by itself",
  unreachable: "it is tried again by itself",
} as const;

export class Pusher {
  readonly #o: PusherOptions;
  readonly #failed = new BackOff(...failedMs);
  /** The recorded commit that is at the remote as far as this leader knows. */
  #done: string | null = null;
  #busy = false;

  constructor(o: PusherOptions) {
    this.#o = o;
  }

  /** On the leader: pushes the newest recorded commit if it is not at the remote. */
  async look(): Promise<void> {
    const { remote, store, now } = this.#o;
    if (store.role.state !== "leader") {
      this.#done = null;
      this.#failed.done();
      return;
    }
    const { last, pushed, pushFailed } = backupsOf(store.world);
    if (remote === null || last === null || this.#busy || !this.#failed.over(now())) return;
    const there = pushed?.commit === last.commit && pushed.remote === remote && pushFailed === null;
    if (there || this.#done === last.commit) return;
    this.#busy = true;
    try {
      const result = await this.push(false);
      if (result.ok) {
        this.#done = last.commit;
        this.#failed.done();
      } else this.#failed.failed(now());
    } finally {
      this.#busy = false;
    }
  }

  /** Pushes now, and records what came of it. Any member may: all have the same repository. */
  async push(force: boolean): Promise<Pushed> {
    const { cluster, remote, push, submit, log } = this.#o;
    if (remote === null) throw new Error("there is no remote to push to");
    const result = await push({ force });
    const { last } = backupsOf(this.#o.store.world);
    if (result.ok) {
      log.info("backup-pushed", { commit: result.pushed, remote, bytes: result.bytes });
      await submit({ type: "RecordPush", id: cluster.name, commit: result.pushed, remote });
    } else {
      log.warn("backup-push-failed", { kind: result.kind, why: result.why });
      if (last !== null) {
        const why = result.why.slice(0, 1_000);
        await submit({ type: "FailPush", id: cluster.name, commit: last.commit, remote, why, hint: hints[result.kind] });
      }
    }
    return result;
  }
}

export const pushHint = (kind: keyof typeof hints): string => hints[kind];
