/** Which machine a smoke makes: the cheapest that each vendor starts in a minute, or what a cluster file says. */
import { parseClusterFile, renderConfigError } from "@aether/core/config/cluster-file";
import { type CloudName, type CloudSettings } from "@aether/core/config/cloud-settings";

const places: Readonly<Record<CloudName, string>> = {
  hetzner: 'region = "fsn1"\ninstance_type = "cx22"',
  aws: 'region = "eu-central-1"\ninstance_type = "t3.micro"',
  gcp: 'region = "europe-west3"\ninstance_type = "e2-micro"',
  azure: 'region = "westeurope"\ninstance_type = "Standard_B1s"',
};

/** `text` is a cluster file or null. A text instead of settings says what is wrong with it. */
export function smokeSettings(
  provider: CloudName,
  file: { readonly name: string; readonly text: string } | null,
  env: Readonly<Record<string, string | undefined>>,
): CloudSettings | string {
  const own = `[cluster]\nname = "smoke"\n[cloud]\nprovider = "${provider}"\n${places[provider]}\n[security]\ncluster_secret = "\${secrets:smoke}"\n`;
  // No cluster is made, so its secret is nobody's business here.
  const parsed = parseClusterFile(file?.text ?? own, { env, readSecret: () => "no-secret-of-any-cluster" });
  if ("errors" in parsed) return parsed.errors.map((error) => renderConfigError(file?.name ?? "smoke", error)).join("\n");
  const { machines } = parsed.ok;
  if (machines?.provider === provider) return machines;
  return `${file?.name ?? "smoke"} is about ${parsed.ok.cloud.provider}, not ${provider}`;
}
