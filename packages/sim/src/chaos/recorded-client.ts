/**
 * A client that writes down what it asked and what it was told: one operation at a time, over the product's own client. A
 * write keeps its request id through all tries; one whose outcome nobody could tell stays open.
 */
import { openStreamClient, type StreamAnswer, type StreamClient, type StreamRead } from "@aether/node/client/stream-client";
import type { ClientTlsOptions } from "@aether/node/identity/tls";
import type { Command, Reason } from "@aether/core/kernel/command";
import type { SettingRow } from "@aether/core/setting/state";
import { absent, type KeyCall, type KeyState } from "../checks/key-model.ts";
import type { Stream } from "../world/stream.ts";
import type { RecordedOperation } from "./evidence.ts";

export interface RecordedClientParts {
  /** As its certificate names it; different for each client. */
  readonly name: string;
  /** Different for each client: makes its values unique. */
  readonly number: number;
  readonly endpoints: readonly string[];
  readonly tls: ClientTlsOptions;
  readonly stream: Stream;
  readonly keys: readonly string[];
  /** Mean pause between operations, ms. */
  readonly thinkMs: number;
  /** Reads in place of the client's own: for tests that want to see wrong reads found. */
  readonly read?: (key: string, stream: Stream) => Promise<KeyState | null>;
}

/** For one try over all members; the client then asks again with the same request id. */
const tryMs = 3_000;
const triesMax = 4;
/** Share of operations before which it goes to another member. */
const moves = 0.02;
const followsLeader = 0.5;

/** Refusals that say that nothing was appended, by this or any earlier try. */
const withoutEffect: ReadonlySet<Reason> = new Set(["deadline", "not_ready", "no_leader", "overloaded", "too_many"]);

interface Asked {
  readonly key: string;
  readonly call: KeyCall;
  readonly request: string | null;
  readonly calledAt: number;
}

export class RecordedClient {
  readonly operations: RecordedOperation[] = [];
  /** Answers that must not be. */
  readonly incidents: string[] = [];
  readonly counts = { acknowledged: 0, refused: 0, open: 0, failedReads: 0, tries: 0, replayed: 0, moves: 0 };
  readonly #parts: RecordedClientParts;
  /** Version of each key as it saw it last. */
  readonly #seen = new Map<string, number>();
  #client: StreamClient;
  #sent = 0;
  #running = true;
  readonly #ended: Promise<void>;

  /** Begins at once. */
  constructor(parts: RecordedClientParts) {
    this.#parts = parts;
    this.#client = this.#open();
    this.#ended = this.#work();
  }

  /** Resolves when the operation under way has been answered or given up. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#ended;
  }

  async #work(): Promise<void> {
    const { stream, thinkMs } = this.#parts;
    while (this.#running) {
      if (stream.chance(moves)) this.#move();
      const asked = this.#choose();
      if (asked.call.op === "read") await this.#read(asked);
      else await this.#write(asked);
      await new Promise((resume) => setTimeout(resume, stream.around(thinkMs)));
    }
    this.#client.close();
  }

  #open(): StreamClient {
    const { endpoints, tls, stream } = this.#parts;
    const order = endpoints.map((endpoint) => ({ endpoint, place: stream.next() })).toSorted((a, b) => a.place - b.place);
    return openStreamClient({
      endpoints: order.map(({ endpoint }) => endpoint),
      tls,
      deadlineMs: tryMs,
      followLeader: stream.chance(followsLeader),
    });
  }

  #move(): void {
    this.#client.close();
    this.#client = this.#open();
    this.counts.moves += 1;
  }

  #choose(): Asked {
    const { stream, keys, name, number } = this.#parts;
    const key = stream.pick(keys);
    const kind = stream.next();
    this.#sent += 1;
    const value = number * 10_000_000 + this.#sent;
    const call: KeyCall =
      kind < 0.6
        ? { op: "read" }
        : kind < 0.9
          ? { op: "write", value }
          : { op: "swap", value, ifVersion: this.#seen.get(key) ?? 0 };
    const request = call.op === "read" ? null : `r${this.#sent}`;
    return { key, call, request: request === null ? null : `operator:${name}/${request}`, calledAt: performance.now() };
  }

  async #read(asked: Asked): Promise<void> {
    const { read, stream } = this.#parts;
    this.counts.tries += 1;
    const state = read === undefined ? stateOf(await this.#get(asked.key)) : await read(asked.key, stream);
    if (state === null) {
      // A read that saw nothing says nothing.
      this.counts.failedReads += 1;
      return;
    }
    this.#seen.set(asked.key, state.version);
    this.counts.acknowledged += 1;
    this.#note(asked, { result: { told: "saw", state } });
  }

  async #write(asked: Asked): Promise<void> {
    let unknown = false;
    for (let left = triesMax; left > 0 && this.#running; left--) {
      this.counts.tries += 1;
      const answer = await this.#submit(asked);
      if (answer.ok) return this.#acknowledged(asked, answer);
      const { reason, message } = answer.rejection;
      if (reason === "stale") {
        this.counts.refused += 1;
        return this.#note(asked, { result: { told: "stale" }, refused: reason });
      }
      unknown ||= reason === "ambiguous";
      if (reason !== "ambiguous" && !withoutEffect.has(reason)) {
        this.incidents.push(`${asked.request}: ${asked.call.op} of ${asked.key} is refused as ${reason}: ${message}`);
        break;
      }
      if (reason !== "ambiguous" && !unknown) {
        this.counts.refused += 1;
        return this.#note(asked, { result: { told: "unknown" }, refused: reason });
      }
      this.#move();
    }
    this.counts.open += 1;
    this.#note(asked, { result: { told: "unknown" } });
  }

  #acknowledged(asked: Asked, answer: StreamAnswer & { readonly ok: true }): void {
    const { version, index, replayed, changed } = answer;
    if (replayed) this.counts.replayed += 1;
    if (!changed) this.incidents.push(`${asked.request}: a value that nobody had written was already there, says entry ${index}`);
    this.#seen.set(asked.key, version);
    this.counts.acknowledged += 1;
    this.#note(asked, { result: { told: "done", version }, index });
  }

  #note(asked: Asked, told: Pick<RecordedOperation, "result"> & Partial<Pick<RecordedOperation, "index" | "refused">>): void {
    const answeredAt = told.result.told === "unknown" ? Infinity : performance.now();
    this.operations.push({ index: null, refused: null, client: this.#parts.name, ...asked, ...told, answeredAt });
  }

  #get(key: string): Promise<StreamRead> {
    return new Promise((resolve) => this.#client.get("setting", key, resolve));
  }

  #submit({ key, call, request }: Asked): Promise<StreamAnswer> {
    if (call.op === "read" || call.op === "remove" || request === null) throw new Error(`${call.op} is no write of this client`);
    const plain: Command = { type: "SetSetting", id: key, value: call.value };
    const command = call.op === "swap" ? { ...plain, ifVersion: call.ifVersion } : plain;
    const id = request.slice(request.lastIndexOf("/") + 1);
    return new Promise((resolve) => this.#client.submit(command, id, resolve));
  }
}

function stateOf(read: StreamRead): KeyState | null {
  if (!read.ok) return null;
  const { stored } = read;
  if (stored === null) return absent;
  return { version: stored.version, value: (stored.row as SettingRow).value as number };
}
