/**
 * Who may knock at which door: role × route, default deny. The rules inside a command (its own roles) come after this
 * and are the store's; here a request is turned away before its body is read.
 */
import type { Role } from "@aether/core/kernel/event";

export interface Door {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** `{x}` stands for one path segment, `{x...}` for all that is left. */
  readonly path: string;
  readonly roles: readonly Role[];
  /** Answered also while this node has no data folder or is not yet running. */
  readonly always?: true;
}

const everyone: readonly Role[] = ["member", "agent", "operator", "viewer"];
const readers: readonly Role[] = ["member", "operator", "viewer"];

export const doors: readonly Door[] = [
  { method: "GET", path: "/v1/health/live", roles: everyone, always: true },
  { method: "GET", path: "/v1/health/ready", roles: everyone, always: true },
  { method: "GET", path: "/v1/member", roles: readers, always: true },
  { method: "GET", path: "/openapi.json", roles: readers, always: true },
  { method: "POST", path: "/v1/bootstrap", roles: ["operator"], always: true },
  { method: "GET", path: "/v1/cluster", roles: readers },
  { method: "POST", path: "/v1/cluster/scale", roles: ["operator"] },
  { method: "GET", path: "/v1/nodes", roles: readers },
  { method: "GET", path: "/v1/nodes/{name}", roles: readers },
  { method: "POST", path: "/v1/nodes/{name}/drain", roles: ["operator"] },
  { method: "POST", path: "/v1/nodes/{name}/undrain", roles: ["operator"] },
  { method: "POST", path: "/v1/nodes/{name}/shutdown", roles: ["operator"] },
  { method: "GET", path: "/v1/instances", roles: readers },
  { method: "GET", path: "/v1/settings", roles: readers },
  { method: "GET", path: "/v1/settings/{key...}", roles: readers },
  { method: "PUT", path: "/v1/settings/{key...}", roles: ["operator"] },
  { method: "DELETE", path: "/v1/settings/{key...}", roles: ["operator"] },
  { method: "GET", path: "/v1/events", roles: readers },
  { method: "GET", path: "/v1/history/{noun}/{id...}", roles: readers },
  { method: "GET", path: "/v1/audit", roles: readers },
  { method: "GET", path: "/v1/backups", roles: readers },
  { method: "POST", path: "/v1/backups", roles: ["operator"] },
  { method: "GET", path: "/v1/backups/{commit}", roles: readers },
  { method: "GET", path: "/v1/backups/{commit}/diff", roles: readers },
  { method: "POST", path: "/v1/backups/verify", roles: ["operator"] },
  { method: "POST", path: "/v1/backups/plan", roles: ["operator"] },
  { method: "POST", path: "/v1/backups/restore", roles: ["operator"] },
  { method: "POST", path: "/v1/backups/push", roles: ["operator"] },
  { method: "POST", path: "/v1/backups/drills", roles: ["operator"] },
  { method: "GET", path: "/v1/restorations/{id}", roles: readers },
  { method: "GET", path: "/v1/backup/repository", roles: ["member", "operator"] },
  { method: "GET", path: "/v1/backup/repository/{file}", roles: ["member", "operator"] },
  { method: "POST", path: "/v1/commands", roles: ["operator", "member"] },
  { method: "GET", path: "/v1/stream", roles: readers },
  { method: "GET", path: "/v1/peer/notes", roles: ["member"], always: true },
  { method: "GET", path: "/v1/peer/append", roles: ["member"] },
  { method: "GET", path: "/v1/peer/control", roles: ["member"] },
  { method: "GET", path: "/v1/peer/snapshot", roles: ["member"] },
];

export type Verdict =
  | { readonly v: "open"; readonly door: Door }
  | { readonly v: "forbidden"; readonly door: Door }
  | { readonly v: "noSuchPath" }
  | { readonly v: "noSuchMethod"; readonly allowed: readonly string[] };

const compiled = doors.map((door) => ({ door, pattern: compile(door.path) }));

/** `path` is the request's path without its query. HEAD counts as GET. */
export function judge(role: Role, method: string, path: string): Verdict {
  const asked = method === "HEAD" ? "GET" : method;
  const here = compiled.filter(({ pattern }) => pattern.test(path));
  const found = here.find(({ door }) => door.method === asked);
  if (found !== undefined) return { v: found.door.roles.includes(role) ? "open" : "forbidden", door: found.door };
  return here.length === 0 ? { v: "noSuchPath" } : { v: "noSuchMethod", allowed: here.map(({ door }) => door.method) };
}

function compile(path: string): RegExp {
  const source = path
    .split("/")
    .map((segment) => {
      if (!segment.startsWith("{")) return segment.replace(/[.]/g, "\\.");
      return segment.endsWith("...}") ? ".+" : "[^/]+";
    })
    .join("/");
  return new RegExp(`^${source}$`);
}
