/**
 * Brings a member's repository up to what the rows say was recorded, when somebody asks for it now: the keeper's mirror comes to it a
 * moment later, and a quorum may hold a commit that this member has not fetched yet.
 */
import { backupsOf } from "@aether/core/backup-job/state";
import { ObjectDamaged } from "@aether/store/git/object";
import type { EventStore } from "@aether/store/types";
import { holds, lookAt, type PeerCopy } from "./copies.ts";
import { mirror } from "./mirror.ts";
import type { RepositoryHome } from "./repository-home.ts";

/** What this member's repository lacks. */
export interface Behind {
  /** Recorded last. */
  readonly commit: string;
  /** Nodes that hold it: those that say so now, or those that were recorded. */
  readonly holders: readonly string[];
  /** What fetching it has met with; "" when it has not ended. */
  readonly why: string;
}

export interface CatchUpOptions {
  readonly store: Pick<EventStore, "world" | "role">;
  readonly node: string;
  readonly home: RepositoryHome;
  readonly peers: () => readonly PeerCopy[];
  /** Whether this member's repository is the one that the others mirror: then it lacks nothing. */
  readonly writes: () => boolean;
  /** Must have ended before the repository is another. */
  readonly stopTidying: () => Promise<void>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** The same for whoever asked: no process is kept alive by it. */
  readonly patience: (ms: number) => Promise<void>;
}

/** For how long members are looked at again and again for one that holds it. A fetch that has begun is not broken off. */
const roundsMs = 10_000;
const roundMs = 250;
/** After one in vain the next is not begun before. */
const againMs = 5_000;

export class CatchUp {
  readonly #o: CatchUpOptions;
  #running: Promise<Behind | null> | null = null;
  #vain: { readonly behind: Behind; readonly until: number } | null = null;
  #stopped = false;

  constructor(o: CatchUpOptions) {
    this.#o = o;
  }

  /**
   * Null when this repository holds what was recorded last; otherwise, after at most `withinMs`, what it lacks. What is being fetched then
   * goes on. Rejects with the disk's errors.
   */
  async newest(withinMs: number): Promise<Behind | null> {
    const { now, patience } = this.#o;
    const commit = await this.#lacks();
    if (commit === null) return null;
    if (this.#vain !== null && this.#vain.behind.commit === commit && now() < this.#vain.until) return this.#vain.behind;
    const running = (this.#running ??= this.#run().finally(() => (this.#running = null)));
    // whoever asked may have gone when it ends
    running.catch(() => undefined);
    return Promise.race([running, patience(withinMs).then(() => this.#behind(commit, [], ""))]);
  }

  /** Resolves when nothing is fetched any more; what is on its way has to be broken off by whoever fetches it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running?.catch(() => undefined);
  }

  /** The commit that was recorded last and is not in this repository's line. */
  async #lacks(): Promise<string | null> {
    const { home, store, writes } = this.#o;
    const last = backupsOf(store.world).last;
    if (last === null || writes()) return null;
    // a repository that is at it and cannot be read is told by who reads it
    const has = (await home.head().catch(orDamaged)) === last.commit || (await holds(home, last.commit));
    return has ? null : last.commit;
  }

  async #run(): Promise<Behind | null> {
    const { now, pause } = this.#o;
    for (const until = now() + roundsMs; ; await pause(roundMs)) {
      const behind = await this.#round();
      if (behind === null || this.#stopped || now() + roundMs >= until) {
        this.#vain = behind === null ? null : { behind, until: now() + againMs };
        return behind;
      }
    }
  }

  async #round(): Promise<Behind | null> {
    const commit = await this.#lacks();
    if (commit === null) return null;
    const seen = await lookAt(this.#o.peers());
    // the writer's may have gone on already, and what it went on from is in it
    const writers = seen.filter(({ listing }) => listing?.writes === true);
    const holders = seen.filter(({ listing }) => listing?.head === commit);
    let why = "no member that answers holds it";
    for (const { peer } of [...writers, ...holders]) {
      try {
        if (await this.#fetch(peer)) return null;
      } catch (error) {
        why = `${peer.node}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    const names = holders.map(({ peer }) => peer.node);
    return this.#behind(commit, names, why);
  }

  /** Whether nothing is lacking then. */
  async #fetch({ source }: PeerCopy): Promise<boolean> {
    const { home, stopTidying } = this.#o;
    await stopTidying();
    return home.exclusive(async () => {
      if (this.#stopped) return false;
      const commit = await this.#lacks();
      if (commit === null) return true;
      // listed in here: by an older listing a repository that went on meanwhile would be taken back
      const listing = await source.listing();
      if (listing.head === null || !(listing.writes || listing.head === commit)) return false;
      await mirror(home, source, listing);
      return listing.writes || (await this.#lacks()) === null;
    });
  }

  #behind(commit: string, seen: readonly string[], why: string): Behind {
    const recorded = backupsOf(this.#o.store.world).last?.holders ?? [];
    const holders = seen.length > 0 ? seen : recorded.filter((name) => name !== this.#o.node);
    return { commit, holders: holders.toSorted(), why };
  }
}

function orDamaged(error: unknown): null {
  if (error instanceof ObjectDamaged) return null;
  throw error;
}
