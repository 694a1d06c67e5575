/** What of Google's APIs the provider uses: our name for it, the published document, and its name there. */
const zonal = "/compute/v1/projects/{project}/zones/{zone}";
const below = "/projects/{project}/zones/{zone}";
const certificates = "/v1/projects/{project}/locations/{location}";

/** A part of a path that ends in a verb ("x:access") is given as two parts, "x/:access". */
export const gcpOperations: readonly (readonly [name: string, document: string, there: string])[] = [
  ["GET /compute/v1/projects/{project}", "compute", "GET /projects/{project}"],
  ["GET /compute/v1/projects/{project}/aggregated/instances", "compute", "GET /projects/{project}/aggregated/instances"],
  [
    "GET /compute/v1/projects/{project}/aggregated/networkEndpointGroups",
    "compute",
    "GET /projects/{project}/aggregated/networkEndpointGroups",
  ],
  ["GET /compute/v1/projects/{project}/global/images/{image}", "compute", "GET /projects/{project}/global/images/{image}"],
  [
    "GET /compute/v1/projects/{project}/global/images/family/{family}",
    "compute",
    "GET /projects/{project}/global/images/family/{family}",
  ],
  ["GET /compute/v1/projects/{project}/regions/{region}", "compute", "GET /projects/{project}/regions/{region}"],
  [`GET ${zonal}/machineTypes/{machineType}`, "compute", `GET ${below}/machineTypes/{machineType}`],
  [`GET ${zonal}/operations/{operation}`, "compute", `GET ${below}/operations/{operation}`],
  [`POST ${zonal}/instances`, "compute", `POST ${below}/instances`],
  [`GET ${zonal}/instances/{instance}`, "compute", `GET ${below}/instances/{instance}`],
  [`DELETE ${zonal}/instances/{instance}`, "compute", `DELETE ${below}/instances/{instance}`],
  [`POST ${zonal}/instances/{instance}/setLabels`, "compute", `POST ${below}/instances/{instance}/setLabels`],
  [`POST ${zonal}/instances/{instance}/start`, "compute", `POST ${below}/instances/{instance}/start`],
  [`POST ${zonal}/instances/{instance}/stop`, "compute", `POST ${below}/instances/{instance}/stop`],
  [`POST ${zonal}/instances/{instance}/reset`, "compute", `POST ${below}/instances/{instance}/reset`],
  [`POST ${zonal}/instances/{instance}/resume`, "compute", `POST ${below}/instances/{instance}/resume`],
  ...(["attachNetworkEndpoints", "detachNetworkEndpoints", "listNetworkEndpoints"] as const).map(
    (verb) =>
      [
        `POST ${zonal}/networkEndpointGroups/{networkEndpointGroup}/${verb}`,
        "compute",
        `POST ${below}/networkEndpointGroups/{networkEndpointGroup}/${verb}`,
      ] as const,
  ),
  ["POST /v3/projects/{project}/:testIamPermissions", "cloudresourcemanager", "POST /v3/{resource}:testIamPermissions"],
  ["GET /v1/projects/{project}/secrets/{secret}/versions/{version}/:access", "secretmanager", "GET /v1beta1/{name}:access"],
  [`GET ${certificates}/certificates`, "certificatemanager", "GET /v1/{parent}/certificates"],
  [`POST ${certificates}/certificates`, "certificatemanager", "POST /v1/{parent}/certificates"],
  [`GET ${certificates}/certificates/{certificate}`, "certificatemanager", "Certificate"],
  [`DELETE ${certificates}/certificates/{certificate}`, "certificatemanager", "DELETE /v1/{name}"],
  [`POST ${certificates}/dnsAuthorizations`, "certificatemanager", "POST /v1/{parent}/dnsAuthorizations"],
  [`GET ${certificates}/dnsAuthorizations/{authorization}`, "certificatemanager", "DnsAuthorization"],
  [`DELETE ${certificates}/dnsAuthorizations/{authorization}`, "certificatemanager", "DELETE /v1/{name}"],
  [`GET ${certificates}/operations/{operation}`, "certificatemanager", "Operation"],
];
