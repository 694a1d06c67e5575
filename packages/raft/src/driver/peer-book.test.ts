import { describe, expect, it } from "vitest";
import { emptyMembership } from "../core/confchange.ts";
import type { Transport } from "../types.ts";
import { PeerBook } from "./peer-book.ts";

/** A book of member 1; `told` is what the transport was told, newest last, as ids. */
function setUp(addresses: Map<number, string>): { book: PeerBook; told: number[][] } {
  const told: number[][] = [];
  const transport: Transport = {
    setPeers: (peers) => told.push(peers.map(({ id }) => id)),
    send: () => undefined,
    sendSnapshot: () => Promise.resolve("broken"),
    onRecv: () => undefined,
    onUnreachable: () => undefined,
    onGone: () => undefined,
    onSnapshot: () => undefined,
    close: () => Promise.resolve(),
  };
  return { book: new PeerBook(1, transport, (id) => addresses.get(id)), told };
}

const everywhere = new Map(Array.from({ length: 40 }, (_, n) => [n + 1, `host-${n + 1}`]));

describe("the peer book", () => {
  it("names everyone of a joint membership but oneself, and only tells what is news", () => {
    const { book, told } = setUp(everywhere);
    const joint = { ...emptyMembership, voters: [1, 2, 3], outgoing: [1, 4], learners: [5] };
    book.membership(joint);
    book.membership(joint);
    expect(told).toEqual([[2, 3, 4, 5]]);
  });

  it("leaves out who has no address, until it is known", () => {
    const addresses = new Map([[2, "host-2"]]);
    const { book, told } = setUp(addresses);
    book.membership({ ...emptyMembership, voters: [1, 2, 3] });
    addresses.set(3, "host-3");
    book.refresh();
    addresses.set(3, "elsewhere");
    book.refresh();
    expect(told).toEqual([[2], [2, 3], [2, 3]]);
  });

  it("answers senders that the membership does not name, until they fall silent or become members", () => {
    const { book, told } = setUp(everywhere);
    book.membership({ ...emptyMembership, voters: [1, 2] });
    book.heard(7, 1000);
    book.heard(8, 2000);
    book.heard(7, 9000);
    expect(told.at(-1)).toEqual([2, 7, 8]);
    book.tick(12_001);
    expect(told.at(-1)).toEqual([2, 7]);
    book.membership({ ...emptyMembership, voters: [1, 2, 7] });
    book.tick(99_000);
    expect(told.at(-1)).toEqual([2, 7]);
  });

  it("keeps sixteen such senders at most, the ones heard last", () => {
    const { book, told } = setUp(everywhere);
    for (let id = 2; id <= 20; id += 1) book.heard(id, id);
    book.heard(5, 100);
    expect(told.at(-1)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });
});
