/**
 * Is there one order of the operations, each somewhere between its call and its answer, in which every answer is right?
 * Wing and Gong's search with Lowe's memory of (set of operations placed, state): a configuration is tried once.
 */
import { absent, type KeyCall, type KeyResult, type KeyState, stepKey } from "./key-model.ts";

export interface Operation {
  readonly key: string;
  readonly call: KeyCall;
  readonly result: KeyResult;
  readonly calledAt: number;
  /** Infinity while nothing was heard: it may take effect at any later time, or never. */
  readonly answeredAt: number;
}

export type Judgement =
  | { readonly v: "linearizable" }
  /** `upTo` operations could be placed at most; `stuck` are the ones that then could not follow. */
  | { readonly v: "violated"; readonly key: string; readonly placed: number; readonly stuck: readonly Operation[] }
  /** The search was given up. Never a pass. */
  | { readonly v: "unknown"; readonly key: string; readonly tried: number };

/** Configurations tried for one key before the search is given up. */
export const triedMax = 2_000_000;

/** Keys do not touch each other, so each is judged alone. The first that is not linearizable is told. */
export function checkLinearizable(history: readonly Operation[], limit = triedMax): Judgement {
  const byKey = Map.groupBy(history, ({ key }) => key);
  for (const [key, operations] of byKey) {
    const inOrder = operations.toSorted((one, other) => one.calledAt - other.calledAt);
    const judgement = new Search(key, inOrder, limit).run();
    if (judgement.v !== "linearizable") return judgement;
  }
  return { v: "linearizable" };
}

interface Moment {
  readonly operation: Operation;
  readonly id: number;
  readonly calls: boolean;
  next: Moment | null;
  previous: Moment | null;
  /** Of a call: its answer. */
  answer: Moment | null;
}

interface Placed {
  readonly call: Moment;
  readonly before: KeyState;
}

/** 32 operations, all of them placed. */
const allPlaced = 0xff_ff_ff_ff;

class Search {
  readonly #key: string;
  readonly #head: Moment;
  readonly #count: number;
  readonly #limit: number;
  readonly #seen = new Set<string>();
  readonly #done: Uint32Array;
  readonly #placed: Placed[] = [];
  #required: number;
  #best = 0;
  #stuck: readonly Operation[] = [];

  constructor(key: string, operations: readonly Operation[], limit: number) {
    this.#key = key;
    this.#limit = limit;
    this.#count = operations.length;
    this.#required = operations.filter(({ answeredAt }) => answeredAt !== Infinity).length;
    this.#done = new Uint32Array(Math.ceil(operations.length / 32));
    this.#head = chain(operations);
  }

  run(): Judgement {
    let state = absent;
    let tried = 0;
    let at = this.#head.next;
    while (this.#required > 0) {
      if (at !== null && at.calls) {
        tried += 1;
        if (tried > this.#limit) return { v: "unknown", key: this.#key, tried };
        const after = stepKey(state, at.operation.call, at.operation.result);
        if (after !== null && this.#enter(at.id, after)) {
          this.#placed.push({ call: at, before: state });
          if (at.operation.answeredAt !== Infinity) this.#required -= 1;
          state = after;
          lift(at);
          at = this.#head.next;
        } else at = at.next;
        continue;
      }
      // An answer stands here whose call could not be placed before it, or the end: the last choice was wrong.
      this.#noteStuck();
      const last = this.#placed.pop();
      if (last === undefined) return { v: "violated", key: this.#key, placed: this.#best, stuck: this.#stuck };
      state = last.before;
      this.#flip(last.call.id);
      if (last.call.operation.answeredAt !== Infinity) this.#required += 1;
      unlift(last.call);
      at = last.call.next;
    }
    return { v: "linearizable" };
  }

  /** False when this set with this state was tried before. */
  #enter(id: number, { version, value }: KeyState): boolean {
    this.#flip(id);
    const configuration = `${this.#window()}/${version}/${value}`;
    if (!this.#seen.has(configuration)) {
      this.#seen.add(configuration);
      return true;
    }
    this.#flip(id);
    return false;
  }

  /**
   * The set of operations placed, in few characters: in the order of their calls nearly all before some place are in it, and
   * nearly none after it.
   */
  #window(): string {
    const words = this.#done;
    let [from, to] = [0, words.length];
    while (from < to && words[from] === allPlaced) from += 1;
    while (to > from && words[to - 1] === 0) to -= 1;
    return `${from}:${words.subarray(from, to).join()}`;
  }

  #flip(id: number): void {
    this.#done[id >> 5] = (this.#done[id >> 5] ?? 0) ^ (1 << (id & 31));
  }

  #noteStuck(): void {
    if (this.#placed.length < this.#best) return;
    this.#best = this.#placed.length;
    const stuck: Operation[] = [];
    for (let at = this.#head.next; at?.calls === true && stuck.length < Math.min(8, this.#count); at = at.next) {
      stuck.push(at.operation);
    }
    this.#stuck = stuck;
  }
}

/** Calls and answers in the order of time; at one moment, calls come first: what may overlap is taken to overlap. */
function chain(operations: readonly Operation[]): Moment {
  const moments: (Moment & { time: number })[] = [];
  for (const [id, operation] of operations.entries()) {
    const answer = { operation, id, calls: false, next: null, previous: null, answer: null, time: operation.answeredAt };
    moments.push({ ...answer, calls: true, answer, time: operation.calledAt }, answer);
  }
  moments.sort((a, b) => (a.time === b.time ? Number(b.calls) - Number(a.calls) : a.time < b.time ? -1 : 1));
  const head: Moment = { ...(moments[0] as Moment), next: null, previous: null };
  let last = head;
  for (const moment of moments) {
    last.next = moment;
    moment.previous = last;
    last = moment;
  }
  return head;
}

function lift(call: Moment): void {
  for (const moment of [call, call.answer as Moment]) {
    if (moment.previous !== null) moment.previous.next = moment.next;
    if (moment.next !== null) moment.next.previous = moment.previous;
  }
}

function unlift(call: Moment): void {
  for (const moment of [call.answer as Moment, call]) {
    if (moment.previous !== null) moment.previous.next = moment;
    if (moment.next !== null) moment.next.previous = moment;
  }
}
