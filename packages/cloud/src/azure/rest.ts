/** Azure Resource Manager: reads, whole lists, changes, and the operations that a change leaves running at the vendor. */
import { millis } from "effect/Duration";
import type { Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import type { ApiCall, ApiClient, Reading } from "../http/api-client.ts";
import type { Clock } from "../http/clock.ts";
import { onSameOrigin } from "../http/endpoints.ts";
import { ignoreBody, jsonBody, jsonReader } from "../http/json.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse, Method } from "../http/transport.ts";
import { classifyOperation } from "./errors.ts";
import { fault } from "./failure.ts";

type Query = readonly (readonly [string, string])[];
type Read<A> = ApiCall<A>["read"];

/** An operation that goes on at the vendor. Null where the change was done when it was answered. */
export type Pending = {
  readonly path: string;
  readonly query: Query;
  readonly isStatus: boolean;
  readonly waitMs: number;
} | null;

/** Null when it has succeeded, else what its failure means: it was accepted, and then could not be done. */
export type OperationEnd = ReturnType<typeof classifyOperation> | null;

export interface Change<A> {
  readonly op: string;
  readonly method: Method;
  readonly path: string;
  readonly version: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly idempotent: boolean;
  readonly confidential?: readonly Redacted[];
  readonly read: Read<A>;
}

export interface Rest {
  readonly read: <A>(op: string, path: string, version: string, read: Read<A>, signal: AbortSignal, query?: Query) => Promise<A>;
  /** All pages; fails rather than give a part. */
  readonly list: <S extends Schema.ConstraintDecoder<unknown>>(
    op: string,
    path: string,
    version: string,
    item: S,
    signal: AbortSignal,
    query?: Query,
  ) => Promise<readonly S["Type"][]>;
  readonly change: <A>(change: Change<A>, signal: AbortSignal) => Promise<{ readonly value: A; readonly pending: Pending }>;
  /** Waits until the operation is over. Throws a Deadline when it goes on after `withinMs`: then nobody knows how it ends. */
  readonly finish: (op: string, pending: Pending, withinMs: number, signal: AbortSignal) => Promise<OperationEnd>;
}

/** 400 pages of what the vendor puts on one; more than that of one kind is not ours to list. */
const pagesMax = 400;
const waitMaxMs = 60_000;

const OperationShape = Schema.Struct({
  status: Schema.String,
  error: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown))),
});
const readOperation = jsonReader(OperationShape);

export function makeRest(client: ApiClient, base: URL, clock: Clock, pollMs: number): Rest {
  const read: Rest["read"] = (op, path, version, reader, signal, query = []) =>
    client.call({ op, method: "GET", path, query: [...query, ["api-version", version]], idempotent: true, read: reader }, signal);
  return {
    read,
    list: async (op, path, version, item, signal, query = []) => {
      const readPage = jsonReader(
        Schema.Struct({ value: Schema.Array(item), nextLink: Schema.optionalKey(Schema.NullOr(Schema.String)) }),
      );
      const call = { op, method: "GET", idempotent: true, read: readPage } as const;
      const all: (typeof item)["Type"][] = [];
      let at: Place = { path, query: [...query, ["api-version", version]] };
      for (let pages = 1; ; pages += 1) {
        const page = await client.call({ ...call, ...at }, signal);
        for (const one of page.value) all.push(one);
        if (page.nextLink === undefined || page.nextLink === null || page.nextLink === "") return all;
        if (pages >= pagesMax) throw fault({ _tag: "Protocol", op, message: `more than ${pagesMax} pages` });
        at = placeBelow(base, page.nextLink) ?? strayed(op, base);
      }
    },
    change: (change, signal) => {
      const { op, method, path, version, query = [], headers = {}, body, idempotent, confidential = [] } = change;
      const readBoth = (response: HttpResponse, reading: Reading) => ({
        value: change.read(response, reading),
        pending: pendingOf(op, base, response, clock.now(), pollMs),
      });
      const rest = { idempotent, headers, confidential, ...(body === undefined ? {} : { body: jsonBody(body) }) };
      return client.call({ op, method, path, query: [...query, ["api-version", version]], ...rest, read: readBoth }, signal);
    },
    finish: async (op, pending, withinMs, signal) => {
      const until = clock.now() + withinMs;
      for (let at = pending; at !== null;) {
        const left = until - clock.now();
        if (left <= 0) {
          const message = `the operation still goes on after ${withinMs} ms`;
          throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op, message });
        }
        await clock.sleep(Math.min(at.waitMs, left), signal);
        const seen = await look(client, op, base, at, clock.now(), pollMs, signal);
        if (seen.isOver) return seen.end;
        at = seen.next;
      }
      return null;
    },
  };
}

interface Place {
  readonly path: string;
  readonly query: Query;
}

/** A URL that the vendor gave, where it is one of the vendor's that we were told to trust. */
function placeBelow(base: URL, given: string): Place | null {
  const url = onSameOrigin(base, given);
  const prefix = base.pathname.replace(/\/$/, "");
  if (url === null || !url.pathname.startsWith(`${prefix}/`)) return null;
  return { path: url.pathname.slice(prefix.length), query: [...url.searchParams] };
}

function strayed(op: string, base: URL): never {
  throw fault({
    _tag: "Protocol",
    op,
    message: `sent on to a place that is not ${base.origin}, where our credentials do not belong`,
  });
}

/** The vendor's preferred header first: what it points to says how the operation stands; the other only that it is not over. */
function pendingOf(op: string, base: URL, { status, headers }: HttpResponse, now: number, pollMs: number): Pending {
  const operation = headers["azure-asyncoperation"];
  const location = status === 202 ? headers["location"] : undefined;
  const given = operation ?? location;
  if (given === undefined) return null;
  const place = placeBelow(base, given) ?? strayed(op, base);
  return { ...place, isStatus: operation !== undefined, waitMs: waitOf(headers, now, pollMs) };
}

const waitOf = (headers: HttpResponse["headers"], now: number, pollMs: number): number =>
  Math.min(waitMaxMs, retryAfterMs(headers["retry-after"], now) || pollMs);

type Seen =
  | { readonly isOver: true; readonly end: OperationEnd }
  | { readonly isOver: false; readonly next: NonNullable<Pending> };

async function look(
  client: ApiClient,
  op: string,
  base: URL,
  at: NonNullable<Pending>,
  now: number,
  pollMs: number,
  signal: AbortSignal,
): Promise<Seen> {
  const call = { op, method: "GET", path: at.path, query: at.query, idempotent: true } as const;
  const read = (response: HttpResponse, reading: Reading): Seen => {
    const goesOn: Seen = { isOver: false, next: { ...at, waitMs: waitOf(response.headers, now, pollMs) } };
    if (!at.isStatus) {
      if (response.status !== 202) return { isOver: true, end: null };
      return { isOver: false, next: pendingOf(op, base, response, now, pollMs) ?? goesOn.next };
    }
    const { status, error } = readOperation(response, reading);
    if (status === "Succeeded") return { isOver: true, end: null };
    if (status === "Failed" || status === "Canceled") return { isOver: true, end: classifyOperation(error, status) };
    return goesOn;
  };
  return client.call({ ...call, read }, signal);
}

/** For a change whose answer says nothing that is needed. */
export const nothing = ignoreBody;
