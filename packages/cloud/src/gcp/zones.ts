/** Google's places: a zone is its region and a letter, "europe-west1-b". */

/** Null for what is no zone's name. */
export const regionOf = (zone: string): string | null => /^([a-z]+-[a-z]+\d+)-[a-z]$/.exec(zone)?.[1] ?? null;

/**
 * Is a scope of an aggregated list, as a name ("zones/europe-west1-b") or the end of a URL, in the region? What cannot be told apart
 * counts as in it.
 */
export function onSameRegion(scope: string, region: string): boolean {
  const place = /(?:^|\/)(zones|regions)\/([^/]+)/.exec(scope);
  if (place === null) return true;
  const name = place[2] ?? "";
  return (place[1] === "regions" ? name : (regionOf(name) ?? region)) === region;
}
