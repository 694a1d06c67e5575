/** The API's routes about backups and restores, a group of {@link AetherApi}. */
import * as Schema from "effect/Schema";
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint";
import * as HttpApiGroup from "effect/http-api/HttpApiGroup";
import * as OpenApi from "effect/http-api/OpenApi";
import * as shapes from "./backup-shapes.ts";
import { says, wholeNumber, write } from "./endpoint.ts";
import { Problems } from "./problem.ts";
import { Written } from "./shapes.ts";

const error = Problems;
const commit = { commit: shapes.CommitName };
const diff = {
  to: Schema.optionalKey(Schema.Union([Schema.Literal("now"), shapes.CommitName])),
  /** Patterns, divided by commas. */
  only: Schema.optionalKey(Schema.String),
  limit: Schema.optionalKey(wholeNumber(1, shapes.thingsLimitMax)),
};

export const backups = HttpApiGroup.make("backups")
  .add(
    HttpApiEndpoint.get("list", "/v1/backups", {
      query: { limit: Schema.optionalKey(wholeNumber(1, shapes.listLimitMax)) },
      success: shapes.BackupsAnswer,
      error,
    }).annotateMerge(says("The commits that there are, newest first, and how backups go")),
    HttpApiEndpoint.post("trigger", "/v1/backups", {
      payload: shapes.BackupRequest,
      success: shapes.BackupTaken,
      error,
    }).annotateMerge(says("Back up now", "Answers when the leader has written and recorded it.")),
    HttpApiEndpoint.get("show", "/v1/backups/:commit", { params: commit, success: shapes.BackupAnswer, error }).annotateMerge(
      says("One commit: its manifest, and what changed in it"),
    ),
    HttpApiEndpoint.get("diff", "/v1/backups/:commit/diff", {
      params: commit,
      query: diff,
      success: shapes.BackupPlan,
      error,
    }).annotateMerge(
      says("What is different between a commit and another or now", "As a plan that leads from the commit to the other."),
    ),
    HttpApiEndpoint.post("verify", "/v1/backups/verify", {
      payload: shapes.VerifyRequest,
      success: shapes.VerifyAnswer,
      error,
    }).annotateMerge(says("Compute every hash of a commit anew, and compare its manifest with the audit chain")),
    HttpApiEndpoint.post("plan", "/v1/backups/plan", {
      payload: shapes.PlanRequest,
      success: shapes.RestorePlan,
      error,
    }).annotateMerge(says("What a restore would change", "Nothing is written.")),
    HttpApiEndpoint.post("restore", "/v1/backups/restore", {
      ...write,
      payload: shapes.RestoreRequest,
      success: shapes.RestoreAnswer,
      error,
    }).annotateMerge(
      says(
        "Bring back what was wanted then, in one step",
        "`stale` when a `plan` is named and is another by now. The restoration's row shows how far it is.",
      ),
    ),
    HttpApiEndpoint.post("push", "/v1/backups/push", {
      payload: shapes.PushRequest,
      success: shapes.PushAnswer,
      error,
    }).annotateMerge(says("Push to the remote now", "`force` replaces what the remote has.")),
    HttpApiEndpoint.post("drill", "/v1/backups/drills", {
      ...write,
      payload: shapes.DrillRequest,
      success: Written,
      error,
    }).annotateMerge(says("Record how a restore drill went")),
    HttpApiEndpoint.get("restoration", "/v1/restorations/:id", {
      params: { id: Schema.String },
      success: shapes.RestorationAnswer,
      error,
    }).annotateMerge(says("How far a restore is")),
  )
  .annotateMerge(OpenApi.annotations({ description: "Backups in git, and restores from them." }));
