/** Ids may have slashes, and a route's parameter is one segment: the rest of such a path is folded into one before it is routed. */

/** Routes whose last parameter takes all that is left of the path, as prefixes; {@link foldRest} knows no others. */
const restRoutes = [/^(\/v1\/settings\/)(.+)$/, /^(\/v1\/history\/[^/]+\/)(.+)$/];

/** `/v1/settings/app/theme` → `/v1/settings/app%2Ftheme`; other paths stay as they are. `pathname` is without its query. */
export function foldRest(pathname: string): string {
  for (const route of restRoutes) {
    const [, before, rest] = route.exec(pathname) ?? [];
    if (before !== undefined && rest !== undefined) return before + rest.replaceAll("/", "%2F");
  }
  return pathname;
}
