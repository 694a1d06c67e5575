/** What kind of call it is, without the names in it. */
export function callName(method: string, path: string): string {
  if (path.endsWith("/token")) return path.startsWith("/metadata/") ? "GET machine token" : "POST token";
  if (path.includes("/operations/")) return `${method} operation`;
  if (path.endsWith("/tags/default")) return `${method} tags`;
  const [, first = "", , third, , ...rest] = path.split("/");
  if (first === "secrets") return `${method} secret`;
  if (first === "certificates")
    return `${method} certificates${path.replace(/^\/certificates(\/[^/]+)?/, (_, name) => (name === undefined ? "" : "/{name}"))}`;
  if (third === undefined) return `${method} subscription`;
  if (rest.length === 0) return `${method} resourcegroup`;
  if (third === "providers") return `${method} all ${rest[0] ?? ""}`;
  const [, , type = "", name, ...verb] = rest;
  return [
    `${method} ${type}`,
    ...(name === undefined ? [] : ["{name}"]),
    ...verb.map((part, at) => (at % 2 === 1 ? "{name}" : part)),
  ].join("/");
}
