/** Whole lists from Google's pages, or a failure. */
import { onSameRegion } from "./zones.ts";
import { fault } from "./failure.ts";
import type { ListWarning } from "./shapes.ts";

/** Far more than one cluster's things; a list that does not end is none. */
const pagesMax = 400;

/** Follows nextPageToken. */
export async function allPages<P extends { readonly nextPageToken?: string | undefined }>(
  op: string,
  get: (token: string | null) => Promise<P>,
): Promise<readonly P[]> {
  const pages: P[] = [];
  const seen = new Set<string>();
  for (let token: string | null = null; ;) {
    const page: P = await get(token);
    pages.push(page);
    const next: string = page.nextPageToken ?? "";
    if (next === "") return pages;
    if (seen.has(next)) throw fault({ _tag: "Protocol", op, message: "a page names itself as the next one" });
    if (pages.length >= pagesMax) throw fault({ _tag: "Protocol", op, message: `more than ${pagesMax} pages` });
    seen.add(next);
    token = next;
  }
}

export interface AggregatedPage<S> {
  readonly items?: { readonly [scope: string]: S } | undefined;
  readonly unreachables?: readonly string[] | undefined;
  readonly warning?: ListWarning | undefined;
}

/**
 * All scopes ("zones/europe-west1-b") of the pages. A part of our region that could not be asked makes the list useless: a failure.
 * Other regions hold nothing of a cluster's, and their outages are not ours.
 */
export function wholeScopes<S extends { readonly warning?: ListWarning | undefined }>(
  op: string,
  region: string,
  pages: readonly AggregatedPage<S>[],
): readonly S[] {
  const partial = (where: string) => {
    const message = `the list is not whole: ${where}`;
    return fault({ _tag: "Transient", maybeApplied: false, op, code: "PARTIAL_LIST", message });
  };
  const isOurs = (scope: string): boolean => onSameRegion(scope, region);
  for (const { unreachables = [], warning, items = {} } of pages) {
    const missing = unreachables.find(isOurs);
    if (missing !== undefined) throw partial(`${missing} could not be reached`);
    const isExplained = unreachables.length > 0 && warning?.code === "UNREACHABLE";
    if (isTold(warning) && !isExplained) throw partial(warning.message ?? warning.code ?? "a warning");
    const [scope, part] = Object.entries(items).find(([name, { warning: one }]) => isTold(one) && isOurs(name)) ?? [];
    if (part !== undefined) throw partial(`${scope}: ${part.warning?.message ?? part.warning?.code ?? "a warning"}`);
  }
  return pages.flatMap(({ items = {} }) => Object.values(items));
}

/** Empty scopes are said to be empty by a warning. */
const isTold = (warning: ListWarning | undefined): warning is ListWarning =>
  warning !== undefined && warning.code !== "NO_RESULTS_ON_PAGE";
