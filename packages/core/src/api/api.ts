/**
 * The HTTP API, declared once: the daemon serves it, the document at /openapi.json and clients derive from it. No handler is here.
 *
 * Two kinds of routes cannot be said this way and stand beside it: GET /v1/events, an endless NDJSON answer with its own flow
 * control ({@link DocumentedApi} describes it), and the websockets /v1/stream (stream-frames.ts) and /v1/peer/*.
 */
import * as Schema from "effect/Schema";
import * as HttpApi from "effect/http-api/HttpApi";
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint";
import * as HttpApiGroup from "effect/http-api/HttpApiGroup";
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware";
import * as HttpApiSchema from "effect/http-api/HttpApiSchema";
import * as OpenApi from "effect/http-api/OpenApi";
import { backups } from "./backups.ts";
import { says, wholeNumber, write } from "./endpoint.ts";
import { instances } from "./instances.ts";
import { Invalid, Problems } from "./problem.ts";
import * as shapes from "./shapes.ts";

/** Turns a request that does not decode into the problem `invalid`; the server provides it. */
export class RequestFaults extends HttpApiMiddleware.Service<RequestFaults>()("aether/api/RequestFaults", {
  error: Invalid,
}) {}

const consistency = { consistency: Schema.optionalKey(Schema.Literals(["linearizable", "stale"])) };
const name = { name: Schema.String };
/** Slashes in keys and ids may stand as they are or as %2F: see paths.ts. */
const key = { key: Schema.String };
const page = (limitMax: number) => ({
  from: Schema.optionalKey(wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  limit: Schema.optionalKey(wholeNumber(1, limitMax)),
});

export const historyLimitMax = 1_000;
export const auditLimitMax = 1_000;
export const eventsLimitMax = 100_000;

/** The thing's version, quoted. */
const etag = { etag: Schema.String };
const read = { query: consistency, error: Problems } as const;

const health = HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/v1/health/live", { success: shapes.Health, error: Problems }).annotateMerge(
      says("The process answers"),
    ),
    HttpApiEndpoint.get("ready", "/v1/health/ready", { success: shapes.Health, error: Problems }).annotateMerge(
      says("This node takes part and knows a leader", "503 `not_ready` or `no_leader` says what it waits for."),
    ),
    HttpApiEndpoint.get("member", "/v1/member", { success: shapes.MemberAnswer, error: Problems }).annotateMerge(
      says("This member as it sees itself", "Never waits for others and is therefore never linearizable."),
    ),
  )
  .annotateMerge(OpenApi.annotations({ description: "What one member says of itself." }));

const cluster = HttpApiGroup.make("cluster")
  .add(
    HttpApiEndpoint.get("get", "/v1/cluster", { ...read, success: shapes.ClusterAnswer }).annotateMerge(
      says("The cluster and its membership"),
    ),
    HttpApiEndpoint.post("scale", "/v1/cluster/scale", {
      ...write,
      payload: shapes.ScaleRequest,
      success: shapes.Written,
    }).annotateMerge(says("Say how many members are wanted", "`answer` names the nodes to start, and how many are too many.")),
    HttpApiEndpoint.post("bootstrap", "/v1/bootstrap", {
      payload: shapes.BootstrapRequest,
      success: shapes.BootstrapAnswer,
      error: Problems,
    }).annotateMerge(
      says(
        "Make this node's empty folder a first voter's",
        "Harmless when repeated; `conflict` wherever a cluster could already exist.",
      ),
    ),
    HttpApiEndpoint.post("command", "/v1/commands", {
      ...write,
      payload: shapes.CommandRequest,
      success: shapes.Written,
    }).annotateMerge(says("Issue any command", "Its own rules and roles apply.")),
  )
  .annotateMerge(OpenApi.annotations({ description: "The cluster as a whole." }));

const nodes = HttpApiGroup.make("nodes")
  .add(
    HttpApiEndpoint.get("list", "/v1/nodes", { ...read, success: shapes.NodesAnswer }).annotateMerge(says("All nodes")),
    HttpApiEndpoint.get("get", "/v1/nodes/:name", { ...read, params: name, success: shapes.NodeAnswer }).annotateMerge(
      says("One node"),
    ),
    HttpApiEndpoint.post("drain", "/v1/nodes/:name/drain", {
      ...write,
      params: name,
      payload: shapes.DrainRequest,
      success: shapes.Written,
    }).annotateMerge(says("Take a node off duty", "`quorum_at_risk` unless a quorum stays on duty without it.")),
    HttpApiEndpoint.post("undrain", "/v1/nodes/:name/undrain", { ...write, params: name, success: shapes.Written }).annotateMerge(
      says("Put a drained node back on duty"),
    ),
    HttpApiEndpoint.post("shutdown", "/v1/nodes/:name/shutdown", {
      ...write,
      params: name,
      payload: shapes.ShutdownRequest,
      success: shapes.Written,
    }).annotateMerge(says("Let a drained node leave and end", "`force`, with a reason, also without a drain.")),
  )
  .annotateMerge(OpenApi.annotations({ description: "Running daemons, by name." }));

const settings = HttpApiGroup.make("settings")
  .add(
    HttpApiEndpoint.get("list", "/v1/settings", { ...read, success: shapes.SettingsAnswer }).annotateMerge(says("All settings")),
    HttpApiEndpoint.get("get", "/v1/settings/:key", {
      ...read,
      params: key,
      success: HttpApiSchema.WithHeaders(shapes.SettingAnswer, etag),
    }).annotateMerge(says("One setting", "Slashes in the key may stand as they are.")),
    HttpApiEndpoint.put("put", "/v1/settings/:key", {
      ...write,
      params: key,
      payload: shapes.SettingRequest,
      success: HttpApiSchema.WithHeaders(shapes.SettingWritten, etag),
    }).annotateMerge(says("Set a setting", "`If-Match` makes it conditional, `Idempotency-Key` repeatable.")),
    HttpApiEndpoint.delete("remove", "/v1/settings/:key", { ...write, params: key, success: shapes.Written }).annotateMerge(
      says("Remove a setting"),
    ),
  )
  .annotateMerge(OpenApi.annotations({ description: "Versioned values." }));

const log = HttpApiGroup.make("log")
  .add(
    HttpApiEndpoint.get("history", "/v1/history/:noun/:id", {
      params: { noun: Schema.String, id: Schema.String },
      query: page(historyLimitMax),
      success: shapes.HistoryAnswer,
      error: Problems,
    }).annotateMerge(says("The entries about one thing")),
    HttpApiEndpoint.get("audit", "/v1/audit", {
      query: page(auditLimitMax),
      success: shapes.AuditAnswer,
      error: Problems,
    }).annotateMerge(
      says("Raw entries and the chain digests around them", "410 `compacted` when the range begins below what is held."),
    ),
  )
  .annotateMerge(OpenApi.annotations({ description: "What happened, and the proof of it." }));

/** What the daemon serves through HttpApi. */
export const AetherApi = HttpApi.make("aether")
  .add(health)
  .add(cluster)
  .add(nodes)
  .add(settings)
  .add(log)
  .add(backups)
  .add(instances)
  .middleware(RequestFaults)
  .annotateMerge(
    OpenApi.annotations({
      title: "Aether",
      version: "1",
      description:
        "Mutual TLS: the client's certificate says who it is and in which role. Reads are linearizable unless ?consistency=stale. " +
        "Any node answers; writes find the leader on their own. Every refusal is a problem {reason, message, hint}.",
    }),
  );

const feeds = HttpApiGroup.make("feeds").add(
  HttpApiEndpoint.get("events", "/v1/events", {
    query: {
      ...page(eventsLimitMax),
      for: Schema.optionalKey(Schema.String),
      follow: Schema.optionalKey(Schema.Literals(["true", "false"])),
    },
    success: shapes.EntryAnswer.annotate({ identifier: "EntryLine" }).pipe(
      HttpApiSchema.asJson({ contentType: "application/x-ndjson" }),
    ),
    error: Problems,
  }).annotateMerge(
    says(
      "The log's entries, one a line",
      "From an index on; `for` narrows to one thing (node/n2); `follow` keeps the answer open, with empty lines as heartbeats. " +
        "Resume at the index after the last line. 410 `compacted` when entries from there are no longer held.",
    ),
  ),
);

/** With the routes that are served beside HttpApi: what /openapi.json says. */
export const DocumentedApi = AetherApi.add(feeds);
