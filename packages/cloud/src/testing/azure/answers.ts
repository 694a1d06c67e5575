/** What the parts of the fake have in common: a call taken apart, and answers and refusals as the vendor words them. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Record<string, unknown>;
  /** Where the client sees the vendor: the start of every URL that the vendor gives. */
  readonly origin: string;
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Refused extends Error {
  readonly status: number;
  readonly error: { readonly code: string; readonly message: string; readonly innererror?: { readonly code: string } };
  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.error = { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) };
  }
}

/** A page of what comes after the marker, in the order given, and where the next one is. */
export function pageOf<A>(call: Call, items: readonly A[], idOf: (item: A) => string, pageMax: number): Reply {
  const after = call.query.get("$skiptoken");
  const from = after === null ? 0 : items.findIndex((item) => idOf(item) > after);
  const rest = from < 0 ? [] : items.slice(from);
  const page = rest.slice(0, pageMax);
  const last = page.at(-1);
  if (rest.length <= pageMax || last === undefined) return { status: 200, body: { value: page } };
  const next = new URL(`${call.origin}${call.path}`);
  for (const [name, value] of call.query) next.searchParams.set(name, value);
  next.searchParams.set("$skiptoken", idOf(last));
  return { status: 200, body: { value: page, nextLink: next.href } };
}

export const byId = <A extends { readonly id: string }>(items: readonly A[]): readonly A[] =>
  items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
