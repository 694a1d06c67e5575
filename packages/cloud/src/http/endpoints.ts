/**
 * Where a provider's services are. `AETHER_<PROVIDER>_ENDPOINT`, and before it `AETHER_<PROVIDER>_<SERVICE>_ENDPOINT`, put
 * another address in place of the vendor's: a test's fake, a private gateway.
 */
import { CloudFailure } from "../failure.ts";
import type { ProviderName } from "../provider.ts";

export interface Endpoints {
  /** The base of all of a service's URLs. A wrong override is a {@link CloudFailure} Invalid that names its variable. */
  readonly base: (service: string) => URL;
}

export function endpointsFrom(
  provider: ProviderName,
  env: Readonly<Record<string, string | undefined>>,
  vendor: (service: string) => string,
): Endpoints {
  return {
    base: (service) => {
      const word = (text: string): string => text.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
      const general = `AETHER_${word(provider)}_ENDPOINT`;
      const special = `AETHER_${word(provider)}_${word(service)}_ENDPOINT`;
      const name = [special, general].find((variable) => (env[variable] ?? "") !== "");
      const text = name === undefined ? vendor(service) : (env[name] ?? "");
      const fault = baseFault(text);
      if (fault === null) return new URL(text.replace(/\/+$/, ""));
      const message = `${name ?? `the address of ${service}`} ${fault}`;
      throw new CloudFailure({ _tag: "Invalid", provider, op: `endpoint of ${service}`, message });
    },
  };
}

/** What is wrong with a base address, or null. The text itself is not repeated: people put credentials into URLs. */
export function baseFault(text: string): string | null {
  if (!URL.canParse(text)) return "is no URL";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "holds credentials; they belong in the provider's own variables";
  if (url.search !== "" || url.hash !== "") return "has a query or a fragment; only scheme, host, port and path are taken";
  if (url.protocol === "https:") return null;
  if (url.protocol !== "http:") return `has scheme ${url.protocol} where https: is needed`;
  return isLoopback(url) ? null : "is http: and not on this computer; credentials travel only over https:";
}

export const isLoopback = (url: URL): boolean => /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/.test(url.hostname);

/**
 * A URL that a server gave, if it stays with the server that we were told to trust: same scheme, host and port as `base`.
 * Anything else would carry our credentials to a stranger.
 */
export function onSameOrigin(base: URL, given: string): URL | null {
  if (!URL.canParse(given, base.href)) return null;
  const url = new URL(given, base);
  return url.origin === base.origin && url.username === "" && url.password === "" ? url : null;
}
