/** What a daemon is doing. */
import type { NodeId } from "@aether/raft/types";
import type { EventStore } from "@aether/store/types";
import type { Services } from "./services.ts";

export type Phase =
  /** No member yet, or none any more. `why` is for people. */
  | { readonly p: "opening" | "waiting" | "ended"; readonly why: string }
  /** The disk is open and others are asked about it; nothing is promised or answered yet. */
  | {
      readonly p: "vouching";
      readonly why: string;
      readonly member: NodeId;
      readonly store: EventStore;
      readonly last: number;
      readonly term: number;
    }
  | { readonly p: "running"; readonly services: Services };
