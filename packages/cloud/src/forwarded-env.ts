/** What nodes are given of the environment in which a cluster is made, so that their leader can call the provider too. */
import type { CloudName, CloudSettings } from "@aether/core/config/cloud-settings";

const credentials: Readonly<Record<CloudName, readonly string[]>> = {
  hetzner: ["HCLOUD_TOKEN"],
  aws: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
  // Google's lie in files; the cluster file refuses to forward them.
  gcp: [],
  azure: ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"],
};

/**
 * Endpoints in place of the vendor's, and with `node_credentials = "forward"` the credentials: by variable. Null where there is neither.
 * Files that credentials lie in are not forwarded, nor is a login that ends.
 */
export function forwardedEnv(
  { provider, nodeCredentials }: Pick<CloudSettings, "provider" | "nodeCredentials">,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> | null {
  const endpoint = new RegExp(`^AETHER_${provider.toUpperCase()}_(?:[A-Z0-9]+_)?ENDPOINT$`);
  const isForwarded = (name: string): boolean =>
    endpoint.test(name) ||
    name === "AETHER_CLOUD_PACE" ||
    (nodeCredentials === "forward" && credentials[provider].includes(name));
  const kept = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value !== undefined && value !== "" && isForwarded(name) ? [[name, value]] : [],
  );
  return kept.length === 0 ? null : Object.fromEntries(kept);
}
