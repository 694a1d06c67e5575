/** What of Azure's APIs the provider uses: in which of the vendor's packages it stands, and by which name there. */
export interface AzureOperation {
  readonly package: string;
  /** Below the package; where operations are and where the shapes. */
  readonly file: string;
  /** `const <name>OperationSpec` in that file. */
  readonly name: string;
  /** "METHOD /path" where the package's own is a template that stands for several. */
  readonly at?: string;
}

const compute = (file: string, ...names: readonly string[]): readonly AzureOperation[] =>
  names.map((name) => ({ package: "@azure/arm-compute", file: `dist/esm/operations/${file}.js`, name }));
const network = (file: string, ...names: readonly string[]): readonly AzureOperation[] =>
  names.map((name) => ({ package: "@azure/arm-network", file: `dist/esm/operations/${file}.js`, name }));
const certificates = (name: string, at?: string): AzureOperation => ({
  package: "@azure/keyvault-certificates",
  file: "dist-esm/src/generated/keyVaultClient.js",
  name,
  ...(at === undefined ? {} : { at }),
});
const secret = (at: string): AzureOperation => ({
  package: "@azure/keyvault-secrets",
  file: "dist-esm/keyvault-secrets/src/generated/keyVaultClient.js",
  name: "getSecret",
  at,
});
const machine =
  "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/virtualMachines/{vmName}";

export const azureOperations: readonly AzureOperation[] = [
  ...compute(
    "virtualMachines",
    "list",
    "listAll",
    "get",
    "createOrUpdate",
    "delete",
    "start",
    "powerOff",
    "deallocate",
    "restart",
  ),
  ...compute("usageOperations", "list"),
  ...compute("resourceSkus", "list"),
  ...compute("virtualMachineImages", "list", "get"),
  ...compute("disks", "get"),
  ...compute("images", "get"),
  ...compute("galleryImageVersions", "get"),
  ...network("networkInterfaces", "list", "get"),
  ...network("publicIPAddresses", "list", "get"),
  ...network("loadBalancerBackendAddressPools", "list", "get", "createOrUpdate"),
  { package: "@azure/arm-resources", file: "dist-esm/src/operations/resourceGroups.js", name: "get" },
  {
    package: "@azure/arm-resources",
    file: "dist-esm/src/operations/tagsOperations.js",
    name: "updateAtScope",
    at: `PATCH ${machine}/providers/Microsoft.Resources/tags/default`,
  },
  { package: "@azure/arm-resources-subscriptions", file: "dist-esm/src/operations/subscriptions.js", name: "get" },
  { package: "@azure/arm-authorization", file: "dist-esm/src/operations/permissions.js", name: "listForResourceGroup" },
  // Without a version the vendor's own clients end the path with a slash.
  secret("GET /secrets/{secret-name}/"),
  secret("GET /secrets/{secret-name}/{secret-version}"),
  certificates("getCertificate", "GET /certificates/{certificate-name}/"),
  certificates("getCertificates"),
  certificates("getCertificatePolicy"),
  certificates("getCertificateOperation"),
  certificates("createCertificate"),
  certificates("importCertificate"),
  certificates("deleteCertificate"),
];
