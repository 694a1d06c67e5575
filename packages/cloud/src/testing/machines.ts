/** What a vendor's fake asks of the computers that it pretends to have. */

export interface Boot {
  /** The vendor's id of the instance. */
  readonly id: string;
  /** The vendor's name of it, where it has one. */
  readonly name: string;
  /** As the customer wrote it: the vendor's base64 or gzip undone. */
  readonly userData: string;
}

/**
 * All four return at once, and what they begin goes on by itself, as with a vendor: that a machine's processes run is nothing that
 * the vendor knows.
 */
export interface Machines {
  /** The first boot of a new machine: it obeys its user data. Returns its address until it is destroyed, or null where nothing runs. */
  readonly boot: (machine: Boot) => string | null;
  /** A machine that is off is switched on: it starts what its first boot left to be started. */
  readonly start: (id: string) => void;
  /** graceful: its processes are asked to end; hard: the plug is pulled. */
  readonly stop: (id: string, how: "graceful" | "hard") => void;
  /** The machine and its disk are gone. */
  readonly destroy: (id: string) => void;
}

/** A vendor whose machines run nothing. */
export const noMachines: Machines = {
  boot: () => null,
  start: () => undefined,
  stop: () => undefined,
  destroy: () => undefined,
};
