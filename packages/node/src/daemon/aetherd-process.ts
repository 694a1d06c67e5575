/**
 * The life of one daemon: it opens its folder or waits for one, has others vouch for it, runs a member, and ends. What it
 * is doing at any time is its phase; the HTTPS face is open from the first moment to the last.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redacted } from "effect/Redacted";
import type { NodeFile } from "@aether/core/config/node-file";
import { reject, type Rejection } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import { retireFolder } from "@aether/store/log/folder";
import { openSnapshots } from "@aether/store/snapshots";
import type { EventStore } from "@aether/store/types";
import type { SnapshotStore } from "@aether/raft/types";
import { clientTls, type TlsMaterial } from "../identity/tls.ts";
import { openFloors, type Floors } from "../member/floors.ts";
import { startMember } from "../member/member.ts";
import { makePeerHttp, type PeerHttp } from "../member/peer-http.ts";
import { gatherNotes } from "../member/peer-notes.ts";
import { readSeats, type Seat } from "../member/seats.ts";
import { awaitVouchers } from "../member/vouching.ts";
import { makeRefusalLedger, type RefusalLedger } from "../server/refusals.ts";
import { makePeerTransport, type PeerTransport } from "../transport/peer-transport.ts";
import { makeAddressBook, routeVia, type AddressBook } from "./address-book.ts";
import { judgeBootstrap, judgeWitnesses, type BootstrapRequest } from "./bootstrap.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { reportFatal } from "./fatal-report.ts";
import { formatAsFirst, formatAsJoiner, openFolder, retiredFolders, type FolderFound } from "./folder.ts";
import type { Log } from "./log.ts";
import { makePeerLog } from "./peer-log.ts";
import type { Phase } from "./phase.ts";
import { clusterRow, standingOf } from "./rows.ts";
import { startServices } from "./services.ts";
import { askToBeTakenIn } from "./take-in.ts";
import { version } from "./version.ts";

type Usable = Extract<FolderFound, { v: "usable" }>;

export interface AetherdParts {
  readonly configuration: NodeFile;
  readonly tls: TlsMaterial;
  /** Of the backups' remote. */
  readonly remoteToken: Redacted | null;
  readonly log: Log;
  /** Ends the process at once; must not return. */
  readonly exit: (code: ExitCode) => never;
  /** An orderly end that takes longer is given up. Default: 10 s. */
  readonly endingMs?: number;
}

export interface Ending {
  readonly code: ExitCode;
  readonly why: string;
}

const takeInMs = 1_000;
const vouchMs = 200;
const vouchAskMs = 700;
const witnessMs = 1_000;
const endingDefaultMs = 10_000;
/** How long a bootstrap waits for the folder to be looked at first. */
const openingMs = 5_000;
const lookMs = 20;

/** Reads what lies beside the log in the data folder. The daemon does nothing until live() is called. */
export async function prepareAetherd(p: AetherdParts): Promise<Aetherd> {
  const { dataDir, cluster, advertise, seeds } = p.configuration;
  const floors = await openFloors(join(dataDir, "floors.json"), cluster.id);
  const book = makeAddressBook(advertise, seeds, await readSeats(dataDir, cluster.id));
  return new Aetherd(p, floors, book);
}

export class Aetherd {
  readonly configuration: NodeFile;
  readonly tls: TlsMaterial;
  readonly remoteToken: Redacted | null;
  readonly log: Log;
  readonly http: PeerHttp;
  readonly refusals: RefusalLedger = makeRefusalLedger();
  /** What this node knows of others' disks. */
  readonly floors: Floors;
  readonly book: AddressBook;
  /** Where this node dials for an address that a member advertises. */
  readonly dialAt: (address: string) => string;
  /** Resolves when the daemon has ended, everything closed. */
  readonly ended: Promise<Ending>;
  readonly #exit: AetherdParts["exit"];
  readonly #endingMs: number;
  #phase: Phase = { p: "opening", why: "the data folder is being opened" };
  /** Why there is no folder: the word that the cluster records when this node comes back. */
  #lossVerdict = "wiped";
  #formatting: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;
  #finish: (e: Ending) => void = () => undefined;
  #ending: Ending | null = null;

  constructor(p: AetherdParts, floors: Floors, book: AddressBook) {
    this.configuration = p.configuration;
    this.tls = p.tls;
    this.remoteToken = p.remoteToken;
    this.log = p.log;
    this.#exit = p.exit;
    this.#endingMs = p.endingMs ?? endingDefaultMs;
    this.floors = floors;
    this.book = book;
    this.dialAt = routeVia(p.configuration.routes);
    this.http = makePeerHttp(clientTls(p.tls, { clusterId: p.configuration.cluster.id }), this.dialAt);
    this.ended = new Promise((resolve) => (this.#finish = resolve));
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Lives until something ends it. Call once, after the face is open. Rejects when the folder cannot be used at all. */
  async live(): Promise<void> {
    const { dataDir, cluster, node } = this.configuration;
    while (this.#ending === null) {
      const found = await openFolder(dataDir, cluster.id, node.member, this.floors);
      if (found.v === "unformatted") await this.#waitForFolder();
      else if (found.v === "unusable") await this.#retire(found.verdict, found.detail);
      else if (await this.#run(found)) return;
    }
  }

  /** Ends the daemon in order: leadership handed over, rows flushed, files closed. Later calls change nothing. */
  async end(code: ExitCode, why: string): Promise<void> {
    if (this.#ending !== null) return;
    this.#ending = { code, why };
    this.log.info("ending", { code, why });
    this.#wake();
    const inOrder = await Promise.race([this.#close(code), sleep(this.#endingMs, false, { ref: false })]);
    if (!inOrder) this.log.warn("ending", { why: `not in order within ${this.#endingMs} ms: what hangs is left as it is` });
    this.#phase = { p: "ended", why };
    this.http.close();
    this.#finish(this.#ending);
  }

  /** Resolves true when all is closed. A disk that hangs keeps it waiting for ever. */
  async #close(code: ExitCode): Promise<true> {
    const phase = this.#phase;
    if (phase.p === "running") await phase.services.stop(code === 0);
    await this.floors.save();
    return true;
  }

  /** Nothing can be trusted any more: the last line says why, and the process is gone. Never returns. */
  readonly fatal = (error: Error): never => {
    this.log.error("fatal", { ...reportFatal(error, this.configuration.dataDir) });
    return this.#exit(exitCodes.fatal);
  };

  /** POST /v1/bootstrap. Resolves with whether it was this call that formatted the folder. */
  bootstrap(request: BootstrapRequest): Promise<Rejection | { readonly member: number; readonly created: boolean }> {
    return this.#exclusive(async () => {
      const { cluster, node, dataDir, advertise } = this.configuration;
      for (let waited = 0; this.#phase.p === "opening" && waited < openingMs; waited += lookMs) await sleep(lookMs);
      const phase = this.#phase;
      const facts = { clusterId: cluster.id, clusterName: cluster.name, node: node.name, member: node.member };
      const hadMember = phase.p === "waiting" && (this.#lossVerdict !== "wiped" || (await retiredFolders(dataDir)).length > 0);
      const refusal = judgeBootstrap(request, { ...facts, hadMember });
      if (refusal !== null) return refusal;
      if (phase.p === "running" || phase.p === "vouching") {
        const { member, store } = phase.p === "running" ? phase.services.member : phase;
        return (await this.#beganOtherwise(request, store)) ?? { member, created: false };
      }
      if (phase.p !== "waiting") return reject("not_ready", `this node is ${phase.p}: ${phase.why}`, "try again in a moment");
      const others = request.members.map((m) => m.address).filter((address) => address !== advertise);
      const witness = judgeWitnesses(node.member, await gatherNotes(this.http, cluster.id, others, witnessMs));
      if (witness !== null) return witness;
      const why = await formatAsFirst(dataDir, cluster.id, node.member, request.members).catch((error: Error) => error);
      if (why instanceof Error) return this.#cannotFormat(why);
      if (why !== null) return reject("conflict", `the data folder cannot be formatted: ${why}`, "look at what it holds");
      this.log.info("formatted", { member: node.member, as: "first voter", of: request.members.length });
      this.#formatted(request.members);
      return { member: node.member, created: true };
    });
  }

  /** Nothing was promised yet, and formatting can be repeated: the process goes on, and whoever asked is told what to mend. */
  #cannotFormat(error: Error): Rejection {
    const { message, next } = reportFatal(error, this.configuration.dataDir);
    this.log.error("format-failed", { message, next });
    return reject("not_ready", `the data folder cannot be written: ${message}`, next);
  }

  /** Two lists of first voters would be two beginnings of one cluster. Once it is initialised, nobody begins it any more. */
  async #beganOtherwise(request: BootstrapRequest, store: EventStore): Promise<Rejection | null> {
    const { dataDir, cluster } = this.configuration;
    const began = (await readSeats(dataDir, cluster.id)).map((seat) => seat.member);
    const same = began.length === request.members.length && request.members.every((m) => began.includes(m.member));
    if (same || began.length === 0 || clusterRow(store.world) !== undefined) return null;
    const message = `this node was formatted for members ${began.join(", ")}`;
    return reject("conflict", message, "send the same list to every node; to start over, delete the data folders");
  }

  /** One formatting at a time: a bootstrap and being taken in exclude each other. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#formatting.then(work, work);
    this.#formatting = next.catch(() => undefined);
    return next;
  }

  #formatted(members: readonly Seat[]): void {
    this.book.seat(members);
    this.#phase = { p: "opening", why: "the data folder was formatted just now" };
    this.#wake();
  }

  async #retire(verdict: string, detail: string): Promise<void> {
    const next = "the data is moved aside and kept; this node rejoins under a new member number";
    this.log.error("verdict", { verdict, detail, next });
    this.#lossVerdict = verdict;
    const kept = await retireFolder(this.configuration.dataDir, verdict);
    this.log.warn("retired", { verdict, kept });
  }

  async #waitForFolder(): Promise<void> {
    let said = "";
    this.#phase = { p: "waiting", why: "the data folder is not formatted" };
    while (this.#phase.p === "waiting" && this.#ending === null) {
      const why = await this.#exclusive(() => this.#tryToBeTakenIn());
      if (why === null) return;
      if (why !== said) this.log.info("waiting", { why });
      said = why;
      if (this.#phase.p !== "waiting") return;
      this.#phase = { p: "waiting", why };
      await this.#pause(takeInMs);
    }
  }

  /** Null when the folder is formatted now; otherwise what is waited for. */
  async #tryToBeTakenIn(): Promise<string | null> {
    if (this.#phase.p !== "waiting" || this.#ending !== null) return null;
    const { cluster, node, advertise, seeds, dataDir } = this.configuration;
    const ask = { http: this.http, clusterId: cluster.id, name: node.name, advertise, seeds, verdict: this.#lossVerdict };
    const taken = await askToBeTakenIn(ask);
    if (taken.v === "wait") return taken.why;
    if (taken.v === "out") {
      void this.end(exitCodes.done, `this node does not belong to the cluster any more: ${taken.why}`);
      return taken.why;
    }
    const self = { name: node.name, member: taken.member, address: advertise };
    const members = [...taken.members.filter((m) => m.name !== node.name), self];
    const why = await formatAsJoiner(dataDir, cluster.id, taken.member, members);
    if (why !== null) return `the data folder cannot be formatted: ${why}`;
    this.log.info("formatted", { member: taken.member, as: "learner", verdict: this.#lossVerdict });
    this.#formatted(members);
    return null;
  }

  /** False when the folder turned out to be of no use and was retired. */
  async #run(found: Usable): Promise<boolean> {
    const { dataDir, raft, history } = this.configuration;
    const { verdict, storage, member } = found;
    const { last, hard } = verdict.boot;
    if (verdict.v === "tornTail") this.log.warn("verdict", { verdict: verdict.v, droppedAfter: verdict.droppedAfter });
    else this.log.info("verdict", { verdict: verdict.v, last: last.index, term: hard.term });
    const snapshots = await openSnapshots(join(dataDir, "snap"));
    const started = await startMember({
      member,
      dataDir,
      registry,
      storage,
      snapshots,
      raft,
      boot: verdict.boot,
      keepEntries: history.keep,
      makeTransport: (store) => this.#makeTransport(store, snapshots, member),
      addressOf: (store, id) => this.dialAddressOf(store, id),
      vouch: (store) => this.#vouch(store, found),
      onFatal: this.fatal,
      onDenied: (s) => this.refusals.note(s.command.type, `${s.actor.role}:${s.actor.name}`, ""),
      onRecovered: (why) => this.log.warn("state-rebuilt", { why }),
    });
    if ("refused" in started) {
      await storage.close();
      if (this.#ending === null) await this.#retire("lost-belowFloor", started.refused);
      return this.#ending !== null;
    }
    this.#phase = { p: "running", services: startServices(this, started) };
    this.log.info("running", { member, applied: started.store.applied, last: last.index });
    return true;
  }

  /** Where this node reaches a member; undefined while nothing says where it is. */
  dialAddressOf(store: EventStore, member: number): string | undefined {
    const address = this.book.addressOf(store.world, member);
    return address === undefined ? undefined : this.dialAt(address);
  }

  #makeTransport(store: EventStore, snapshots: SnapshotStore, member: number): PeerTransport {
    return makePeerTransport({
      clusterId: this.configuration.cluster.id,
      self: { id: member, incarnation: Date.now(), build: version, features: [] },
      tls: this.tls,
      snapshots,
      standing: (id, name) => standingOf(store.world, id, name),
      onEvent: makePeerLog(this.log, () => performance.now()),
    });
  }

  /** Why this disk may not take part, or null; waits as long as too few answer. */
  #vouch(store: EventStore, { member, verdict }: Usable): Promise<string | null> {
    const { voters } = store.membership;
    const { last, hard } = verdict.boot;
    const known = voters.length > 0 ? voters : this.book.seated;
    const question = { member, voters: known, applied: store.applied, last, term: hard.term };
    const facts = { p: "vouching", member, store, last: last.index, term: hard.term } as const;
    let said = "";
    this.#phase = { ...facts, why: "other members are asked about this disk" };
    return awaitVouchers({
      question,
      ask: (named) => gatherNotes(this.http, this.configuration.cluster.id, this.book.others(store.world, named), vouchAskMs),
      pause: () => this.#pause(vouchMs),
      ended: () => this.#ending !== null,
      onWaiting: (why) => {
        if (why !== said) this.log.info("vouching", { why });
        said = why;
        this.#phase = { ...facts, why };
      },
    });
  }

  /** Ends early when something happens that the waiting loop should look at. */
  #pause(ms: number): Promise<void> {
    return new Promise((resume) => {
      const timer = setTimeout(resume, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resume();
      };
    });
  }
}
