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

const metadataHosts: ReadonlySet<string> = new Set([
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "[fd00:ec2::254]",
  "[fd00:ec2::23]",
  "metadata.google.internal",
]);

/**
 * Where a vendor gives an instance its identity: an address that never leaves the host, and the only ones beside loopback that are
 * spoken to without TLS. No endpoint of a service can be put there: {@link baseFault} knows only loopback.
 */
export const isMetadataHost = (url: URL): boolean => metadataHosts.has(url.hostname) && url.port === "";

/** The metadata service: `AETHER_<PROVIDER>_METADATA_ENDPOINT` (on this computer only), else the vendor's. */
export function metadataFrom(provider: ProviderName, env: Readonly<Record<string, string | undefined>>, vendor: string): URL {
  const name = `AETHER_${provider.toUpperCase()}_METADATA_ENDPOINT`;
  const text = env[name] ?? "";
  if (text === "") return new URL(vendor);
  const fault = baseFault(text) ?? (isLoopback(new URL(text)) ? null : "is not on this computer");
  if (fault === null) return new URL(text.replace(/\/+$/, ""));
  throw new CloudFailure({ _tag: "Invalid", provider, op: "metadata endpoint", message: `${name} ${fault}` });
}

/**
 * A URL that a server gave, if it stays with the server that we were told to trust: same scheme, host and port as `base`.
 * Anything else would carry our credentials to a stranger.
 */
export function onSameOrigin(base: URL, given: string): URL | null {
  if (!URL.canParse(given, base.href)) return null;
  const url = new URL(given, base);
  return url.origin === base.origin && url.username === "" && url.password === "" ? url : null;
}
