/** What the vendor says no to before it begins. */
export function wishFault(name: string, properties: Record<string, Record<string, unknown>>): string | null {
  if (!/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/i.test(name)) return "vmName";
  if (!/^Standard_[A-Z]\w*$/.test(String(properties["hardwareProfile"]?.["vmSize"]))) return "vmSize";
  const linux = properties["osProfile"]?.["linuxConfiguration"] as
    | { readonly ssh?: { readonly publicKeys?: readonly object[] } }
    | undefined;
  if ((linux?.ssh?.publicKeys ?? []).length === 0) return "linuxConfiguration.ssh.publicKeys.keyData";
  const customData = (properties["osProfile"]?.["customData"] ?? "") as string;
  if (Buffer.from(customData, "base64").length > 65_535) return "customData";
  const image = properties["storageProfile"]?.["imageReference"] as
    | { readonly publisher?: string; readonly id?: string }
    | undefined;
  return ["Debian", "Canonical"].includes(image?.publisher ?? "") || image?.id !== undefined ? null : "imageReference";
}
