/** The tiny cloud's API, one function per call that the provider makes. */
import { value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import type { ApiClient } from "../../http/api-client.ts";
import { ignoreBody, jsonBody, jsonReader } from "../../http/json.ts";
import type { LabelPatch, Labels } from "../../provider.ts";
import { fault } from "./failure.ts";

const MachineShape = Schema.Struct({
  /** Never given twice. */
  id: Schema.String,
  /** Unique, and never changed. */
  name: Schema.String,
  /** "booting", "on", "halting", "off", "ending"; a word that is new to us is no reason to fail. */
  state: Schema.String,
  off_by: Schema.NullOr(Schema.Literals(["customer", "itself"])),
  address: Schema.NullOr(Schema.String),
  place: Schema.String,
  labels: Schema.Record(Schema.String, Schema.String),
  /** Unix seconds. */
  made: Schema.Number,
});
export type Machine = typeof MachineShape.Type;

export interface CreateMachine {
  readonly name: string;
  readonly size: string;
  readonly image: string;
  readonly place: string;
  readonly labels: Labels;
}

export type PowerWord = "on" | "halt" | "off" | "again";

export interface TinyApi {
  readonly places: (signal: AbortSignal) => Promise<readonly string[]>;
  /** All pages. */
  readonly machines: (selector: Labels, signal: AbortSignal) => Promise<readonly Machine[]>;
  readonly named: (name: string, signal: AbortSignal) => Promise<Machine | null>;
  readonly machine: (id: string, signal: AbortSignal) => Promise<Machine>;
  readonly create: (wish: CreateMachine, userData: Redacted, signal: AbortSignal) => Promise<Machine>;
  readonly remove: (id: string, signal: AbortSignal) => Promise<void>;
  readonly power: (id: string, to: PowerWord, signal: AbortSignal) => Promise<void>;
  readonly label: (id: string, patch: LabelPatch, signal: AbortSignal) => Promise<Machine>;
}

const readMachine = jsonReader(MachineShape);
const readPage = jsonReader(Schema.Struct({ machines: Schema.Array(MachineShape), after: Schema.NullOr(Schema.String) }));
const readPlaces = jsonReader(Schema.Struct({ places: Schema.Array(Schema.String) }));
const pagesMax = 1000;

type Query = readonly (readonly [string, string])[];

export function makeTinyApi(client: ApiClient): TinyApi {
  const list = async (op: string, query: Query, signal: AbortSignal): Promise<readonly Machine[]> => {
    const found: Machine[] = [];
    for (let after: string | null = "", pages = 0; after !== null; pages += 1) {
      if (pages === pagesMax) throw fault({ _tag: "Protocol", op, message: `more than ${pagesMax} pages` });
      const asked: Query = after === "" ? query : [...query, ["after", after]];
      const call = { op, method: "GET" as const, path: "/machines", query: asked, idempotent: true, read: readPage };
      const page: ReturnType<typeof readPage> = await client.call(call, signal);
      found.push(...page.machines);
      after = page.after;
    }
    return found;
  };
  const pathOf = (id: string): string => `/machines/${encodeURIComponent(id)}`;
  return {
    places: async (signal) => {
      const call = { op: "read the places", method: "GET" as const, path: "/places", idempotent: true, read: readPlaces };
      return (await client.call(call, signal)).places;
    },
    machines: (selector, signal) => {
      const query = Object.entries(selector).map(([key, value]) => ["label", `${key}:${value}`] as const);
      return list("list machines", query, signal);
    },
    named: async (name, signal) => (await list(`look for machine ${name}`, [["name", name]], signal))[0] ?? null,
    machine: (id, signal) =>
      client.call({ op: `read machine ${id}`, method: "GET", path: pathOf(id), idempotent: true, read: readMachine }, signal),
    create: (wish, userData, signal) =>
      client.call(
        {
          op: `create machine ${wish.name}`,
          method: "POST",
          path: "/machines",
          body: jsonBody({ ...wish, user_data: reveal(userData) }),
          // Whether a lost answer was a yes is for `ensure` to look up.
          idempotent: false,
          confidential: [userData],
          read: readMachine,
        },
        signal,
      ),
    remove: async (id, signal) => {
      await client.call(
        { op: `delete machine ${id}`, method: "DELETE", path: pathOf(id), idempotent: true, read: ignoreBody },
        signal,
      );
    },
    power: async (id, to, signal) => {
      // Two restarts are two; everything else brings about a state.
      const call = {
        op: `${to} machine ${id}`,
        method: "POST" as const,
        path: `${pathOf(id)}/power`,
        idempotent: to !== "again",
      };
      await client.call({ ...call, body: jsonBody({ to }), read: ignoreBody }, signal);
    },
    label: (id, { set = {}, unset = [] }, signal) => {
      const call = { op: `label machine ${id}`, method: "PATCH" as const, path: `${pathOf(id)}/labels`, idempotent: true };
      return client.call({ ...call, body: jsonBody({ set, unset }), read: readMachine }, signal);
    },
  };
}
