/** The API's endpoints about backups (core/api/backups.ts declares them), each joined to the operation that does it. */
import { AetherApi } from "@aether/core/api/api";
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder";
import {
  diffBackup,
  listBackups,
  pushBackup,
  readRestoration,
  recordDrill,
  showBackup,
  triggerBackup,
  verifyBackup,
} from "../backup/operations.ts";
import { planRestoration, restoreBackup } from "../backup/restore-operations.ts";
import { askedOf, type CallOf, type Running } from "./handler-parts.ts";

const defaultCause = "asked for";

export const backupsGroup = (running: Running, callOf: CallOf) =>
  HttpApiBuilder.group(AetherApi, "backups", (group) =>
    group
      .handle("list", ({ query }) => running((o) => listBackups(o, query.limit)))
      .handle("trigger", ({ request, payload }) =>
        running((o) => triggerBackup(o, askedOf(callOf(request), {}), payload.cause ?? defaultCause)),
      )
      .handle("show", ({ params }) => running((o) => showBackup(o, params.commit)))
      .handle("diff", ({ params, query }) => running((o) => diffBackup(o, params.commit, query)))
      .handle("verify", ({ payload }) => running((o) => verifyBackup(o, payload.commit)))
      .handle("plan", ({ payload }) => running((o) => planRestoration(o, payload)))
      .handle("restore", ({ request, headers, payload }) =>
        running((o) => restoreBackup(o, askedOf(callOf(request), headers), payload)),
      )
      .handle("push", ({ payload }) => running((o) => pushBackup(o, payload.force === true)))
      .handle("drill", ({ request, headers, payload }) =>
        running((o) => recordDrill(o, askedOf(callOf(request), headers), payload)),
      )
      .handle("restoration", ({ params }) => running((o) => readRestoration(o, params.id))),
  );
