/** Puts the daemon behind its front door: which request goes to the feed, the notes, the API, a stream or the transport. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { reject } from "@aether/core/kernel/command";
import type { Aetherd } from "../daemon/aetherd-process.ts";
import { ownNotes } from "../daemon/own-notes.ts";
import type { Services } from "../daemon/services.ts";
import { identityOf } from "../identity/guard.ts";
import { makeRepositoryRoutes, repositoryPath, type RepositoryRoutes } from "../backup/repository-routes.ts";
import { makeApiServer, type ApiServer } from "./api-server.ts";
import { notRunning } from "./not-running.ts";
import { feedsMax, followEvents, parseFeedQuery, sendEvents } from "./events-feed.ts";
import { openFrontDoor, type Call, type FrontDoor } from "./front-door.ts";
import { sendProblem } from "./problem.ts";
import { makeUpgrades, type Upgrades } from "./upgrades.ts";

/** Listens where the configuration says. Rejects when the address cannot be had. */
export async function openFace(d: Aetherd): Promise<FrontDoor> {
  const api = await makeApiServer(d);
  const upgrades = makeUpgrades();
  const feeds = new Set<ServerResponse>();
  const routes = makeRepositoryRoutes();
  const door = await openFrontDoor({
    host: d.configuration.listen.host,
    port: d.configuration.listen.port,
    tls: d.tls,
    clusterId: d.configuration.cluster.id,
    onRefused: (what, identity, address) => d.refusals.note(what, identity, address),
    onRequest: (req, res, call) => serve(d, { api, feeds, routes }, req, res, call),
    onUpgrade: (req, socket, head, call) => upgrade(d, upgrades, req, socket, head, call),
  });
  return {
    port: door.port,
    close: async () => {
      upgrades.close();
      await door.close();
      await api.close();
    },
  };
}

/** What requests are served from. */
interface Rooms {
  readonly api: ApiServer;
  readonly feeds: Set<ServerResponse>;
  readonly routes: RepositoryRoutes;
}

function serve(d: Aetherd, { api, feeds, routes }: Rooms, req: IncomingMessage, res: ServerResponse, call: Call): void {
  const { path } = call.door;
  const { phase } = d;
  if (phase.p === "running") res.setHeader("aether-index", phase.services.operations.store.applied);
  if (path === "/v1/peer/notes") {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify(ownNotes(d)));
    return;
  }
  if (phase.p !== "running" && call.door.always !== true) return sendProblem(res, notRunning(d));
  if (path === "/v1/events" && phase.p === "running") return serveEvents(phase.services, feeds, res, call);
  if (path.startsWith(repositoryPath) && phase.p === "running") {
    const { home, writes } = phase.services.backups;
    const file = path === repositoryPath ? null : (call.url.pathname.split("/").at(-1) ?? "");
    return void routes.serve(home, writes, file, res);
  }
  api.handle(req, res, call);
}

function serveEvents({ operations }: Services, feeds: Set<ServerResponse>, res: ServerResponse, call: Call): void {
  const query = parseFeedQuery(call.url.searchParams);
  if ("rejected" in query) return sendProblem(res, query, operations.store.applied);
  if (feeds.size >= feedsMax) {
    return sendProblem(res, reject("too_many", `${feedsMax} feeds are open at this node`, "ask another node, or later"));
  }
  feeds.add(res);
  res.on("close", () => feeds.delete(res));
  if (query.follow) return void followEvents(operations.store, query, res);
  sendEvents(operations.store, query, res).catch((error: unknown) => {
    res.destroy(error instanceof Error ? error : new Error(String(error)));
  });
}

function upgrade(d: Aetherd, upgrades: Upgrades, req: IncomingMessage, socket: Duplex, head: Buffer, call: Call): void {
  const { phase } = d;
  if (phase.p !== "running")
    return void socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  const { services } = phase;
  const { path } = call.door;
  if (path === "/v1/stream") return upgrades.stream(req, socket, head, call, services.streams);
  const channel = path.slice("/v1/peer/".length) as "append" | "control" | "snapshot";
  services.member.transport.upgrade(channel, req, socket, head, identityOf(req.socket));
}
