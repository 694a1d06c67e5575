import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Entry, Index, NodeId, Term } from "../types.ts";
import { Kind } from "../types.ts";

/** One suite of carried-over cases, as it stands in a file of `fixtures/cases/raft/`. */
export interface Suite {
  readonly id: string;
  /** How many cases the suite has where it comes from; some may be left out here. */
  readonly upstream: number;
  /** What all its cases start from. */
  readonly given: unknown;
  readonly cases: readonly { readonly name?: string }[];
}

export interface LeftOut {
  readonly suite: string;
  readonly case: number;
  readonly why: string;
}

/** Runs one case and throws when it does not hold. */
export type Runner = (c: unknown, given: unknown) => void;

/** Gives the cases of a suite the shape that its runner expects; the fixtures are data of this repository. */
export function runner<C, G = unknown>(run: (c: C, given: G) => void): Runner {
  return (c, given) => run(c as C, given as G);
}

const folder = join(import.meta.dirname, "../../../../fixtures/cases/raft");

export function loadSuites(): Suite[] {
  const files = readdirSync(folder).filter((name) => name !== "left-out.json");
  return files.sort().flatMap((name) => (JSON.parse(readFileSync(join(folder, name), "utf8")) as { suites: Suite[] }).suites);
}

export function loadLeftOut(): LeftOut[] {
  return (JSON.parse(readFileSync(join(folder, "left-out.json"), "utf8")) as { leftOut: LeftOut[] }).leftOut;
}

/** Entries as cases write them: consecutive indexes from `first`, with these terms. */
export type Terms = { readonly first: Index; readonly terms: readonly Term[] } | null;

export const oneByte = Uint8Array.of(1);

export function entriesOf(terms: Terms): Entry[] {
  if (terms === null) return [];
  return terms.terms.map((term, i) => ({ term, index: terms.first + i, kind: Kind.normal, data: oneByte }));
}

export function idsOf(record: Record<string, unknown>): NodeId[] {
  return Object.keys(record).map(Number);
}
