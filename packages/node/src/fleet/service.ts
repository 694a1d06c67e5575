/**
 * The machines of a cluster in a cloud, seen to by the member that leads. Nothing of the clouds is loaded before it is needed: a daemon on
 * this computer never does. Nothing here may end the member: what the vendor does wrong is recorded or logged, and tried again.
 */
import type { NodeFile } from "@aether/core/config/node-file";
import type { Command } from "@aether/core/kernel/command";
import type { Answer, EventStore } from "@aether/store/types";
import type { Redacted } from "effect/Redacted";
import type { Log } from "../daemon/log.ts";
import { clusterRow } from "../daemon/rows.ts";
import type { Gateway } from "../server/gateway.ts";
import type { CloudHand } from "./cloud-hand.ts";

export interface FleetParts {
  readonly configuration: NodeFile;
  /** Of the backups' remote. */
  readonly remoteToken: Redacted | null;
  readonly store: EventStore;
  readonly gateway: Pick<Gateway, "barrier">;
  readonly dialAt: (address: string) => string;
  readonly log: Log;
}

const lookMs = 500;
const caughtUpMs = 2_000;
/** Until credentials that were not there are looked for again. */
const againMs = 60_000;

/** Starts looking; the function returned ends it, and resolves when no call is under way any more. */
export function startFleet(p: FleetParts): () => Promise<void> {
  const fleet = new Fleet(p);
  let busy: Promise<void> | null = null;
  const timer = setInterval(() => {
    busy ??= fleet
      .look()
      .catch((error: unknown) => p.log.error("fleet", { message: error instanceof Error ? error.message : String(error) }))
      .finally(() => (busy = null));
  }, lookMs);
  return async () => {
    clearInterval(timer);
    await busy;
    await fleet.stop();
  };
}

class Fleet {
  readonly #p: FleetParts;
  #made: CloudHand | null = null;
  #nextTry = 0;

  constructor(p: FleetParts) {
    this.#p = p;
  }

  async look(): Promise<void> {
    const { store } = this.#p;
    if (store.role.state === "leader" && this.#made === null) await this.#make();
    await this.#made?.hand.look();
  }

  async stop(): Promise<void> {
    await this.#made?.hand.stop();
    await this.#made?.close();
  }

  async #make(): Promise<void> {
    const row = clusterRow(this.#p.store.world);
    if (row === undefined || row.provider === "local" || row.state !== "ready" || performance.now() < this.#nextTry) return;
    const { makeCloudHand } = await import("./cloud-hand.ts");
    const { store, gateway } = this.#p;
    const made = await makeCloudHand({
      ...this.#p,
      settings: row.configuration,
      submit: (command) => this.#submit(command),
      caughtUp: async () => store.role.state === "leader" && typeof (await gateway.barrier(caughtUpMs)) === "number",
    });
    if ("hand" in made) this.#made = made;
    else {
      this.#nextTry = performance.now() + againMs;
      this.#p.log.warn("fleet-credentials", { why: made.why });
      const trouble = { area: "credentials", tag: "Credentials", code: this.#p.configuration.node.name, requestId: "" };
      await this.#submit({ type: "RecordTrouble", id: row.name, ...trouble, message: made.why });
    }
  }

  /** As this member, to the store here, which takes it only while it leads. */
  #submit(command: Command): Promise<Answer> {
    const actor = { name: this.#p.configuration.node.name, role: "member" } as const;
    return new Promise((resolve) => this.#p.store.submit({ command, actor, request: null }, resolve));
  }
}
