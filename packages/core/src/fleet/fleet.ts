/** The noun `fleet`: one row, whose id is the cluster's name. Like instances it is in no backup. */
import { defineCommand } from "../kernel/define.ts";
import { ClusterName } from "../kernel/fields.ts";
import type { Noun } from "../kernel/noun.ts";
import * as rules from "./decide.ts";
import { FleetArea, fleetEvents, reconciled, targetsWanted, troubled } from "./events.ts";
import { evolveFleet, type FleetRow } from "./state.ts";

const member = { roles: ["member"], id: ClusterName } as const;

export const fleet: Noun<FleetRow> = {
  name: "fleet",
  events: fleetEvents,
  commands: [
    defineCommand({ ...member, type: "RecordTrouble", fields: troubled, decide: rules.decideTrouble }),
    defineCommand({ ...member, type: "MendTrouble", fields: { area: FleetArea }, decide: rules.decideMend }),
    defineCommand({ ...member, type: "WantTargets", fields: targetsWanted, decide: rules.decideTargets }),
    /** Refused: `stale` when others are wanted by now. */
    defineCommand({ ...member, type: "RecordTargets", fields: reconciled, decide: rules.decideRecordTargets }),
  ],
  evolve: evolveFleet,
};
