/** What can happen to one request on its way to a vendor and back. */
export type Fault =
  /** No connection: it surely had no effect. */
  | { readonly kind: "unsent" }
  /** The connection breaks before, or after, the vendor has done it. */
  | { readonly kind: "drop-before" | "drop-after" }
  /** Refused with this status, without effect or (a broken gateway) with it. */
  | {
      readonly kind: "refuse-before" | "refuse-after";
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
    }
  /** Done, and only half of the answer comes. */
  | { readonly kind: "cut" }
  /** Done, and the answer does not end within the deadline. */
  | { readonly kind: "slow" }
  /** A proxy sends it twice; the second answer is the one that comes. */
  | { readonly kind: "twice" }
  /** The client's process ends by SIGKILL right before, or right after, the vendor has done it. */
  | { readonly kind: "kill-before" | "kill-after" };

const refused = (kind: "refuse-before" | "refuse-after", status: number, headers: Record<string, string> = {}): Fault => ({
  kind,
  status,
  headers,
});

/** All that happen on the network, each once, with the words for a test's name. */
export const networkFaults: readonly (readonly [string, Fault])[] = [
  ["no connection", { kind: "unsent" }],
  ["a connection that breaks before it is done", { kind: "drop-before" }],
  ["a connection that breaks after it is done", { kind: "drop-after" }],
  ["429", refused("refuse-before", 429)],
  ["429 with Retry-After", refused("refuse-before", 429, { "retry-after": "7" })],
  ["500 before it is done", refused("refuse-before", 500)],
  ["500 after it is done", refused("refuse-after", 500)],
  ["502 after it is done", refused("refuse-after", 502)],
  ["503 before it is done", refused("refuse-before", 503)],
  ["504 after it is done", refused("refuse-after", 504)],
  ["half an answer", { kind: "cut" }],
  ["an answer that does not end", { kind: "slow" }],
  ["a request delivered twice", { kind: "twice" }],
];

export const killFaults: readonly (readonly [string, Fault])[] = [
  ["kill -9 before it is done", { kind: "kill-before" }],
  ["kill -9 after it is done", { kind: "kill-after" }],
];
