/** Where members listen: what the world's rows say, and before there are any, what was known when the folder was formatted. */
import type { World } from "@aether/core/kernel/world";
import type { NodeRow } from "@aether/core/node/state";
import type { NodeId } from "@aether/raft/types";
import type { Seat } from "../member/seats.ts";

export interface AddressBook {
  /** As it advertises itself, which is what clients are told. */
  addressOf(world: World, member: NodeId): string | undefined;
  nameOf(world: World, member: NodeId): string | undefined;
  /** Everybody's addresses and those `named` by others, but not this node's own, each once; those that have left are not asked any more. */
  others(world: World, named?: readonly string[]): readonly string[];
  /** Members as the seats name them, for a world without rows. */
  readonly seated: readonly NodeId[];
  /** Replaces what was known from the folder. */
  seat(members: readonly Seat[]): void;
}

/** `advertise` is this node's own address; `seeds` are the configuration's, asked for last. */
export function makeAddressBook(advertise: string, seeds: readonly Seat[], folder: readonly Seat[]): AddressBook {
  let seats = [...folder, ...seeds];
  return {
    addressOf: (world, member) =>
      rows(world).find((row) => row.member === member)?.address ?? seats.find((seat) => seat.member === member)?.address,
    nameOf: (world, member) =>
      rows(world).find((row) => row.member === member)?.name ?? seats.find((seat) => seat.member === member)?.name,
    others: (world, named = []) => {
      const known = rows(world).flatMap((row) => (row.address === null || row.left ? [] : [row.address]));
      const asked = known.length > 0 ? known : seats.map((seat) => seat.address);
      return [...new Set([...asked, ...named])].filter((address) => address !== advertise);
    },
    get seated() {
      return [...new Set(seats.map((seat) => seat.member))];
    },
    seat: (members) => {
      seats = [...members, ...seeds];
    },
  };
}

/** Where this node dials for an address that a member advertises: what `routes` says, or that very address. */
export const routeVia =
  (routes: Readonly<Record<string, string>>) =>
  (address: string): string =>
    (Object.hasOwn(routes, address) ? routes[address] : undefined) ?? address;

const rows = (world: World): readonly NodeRow[] => [...world.all<NodeRow>("node")].map((stored) => stored.row);
