/** Things of the fake as Google's JSON shows them. */
export interface FakeVm {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly createdAt: number;
  readonly userData: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly isPublic: boolean;
  /** Where its processes really listen, or null where nothing runs. */
  readonly listensAt: string | null;
  labels: Record<string, string>;
  /** Counts the changes of the labels. */
  version: number;
  status: string;
  isBeingDeleted: boolean;
  /** What it becomes, and when; "gone" removes it. */
  next: readonly { readonly at: number; readonly status: string }[];
}

export interface FakeOperation {
  readonly name: string;
  readonly zone: string;
  readonly type: string;
  readonly requestId: string;
  /** What was asked under this id: the same id for something else is refused. */
  readonly asked: string;
  readonly target: string;
  readonly targetId: string;
  readonly startedAt: number;
  readonly endsAt: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

const base = "https://www.googleapis.com/compute/v1/projects/fleet-production";
export const fingerprint = ({ version }: FakeVm): string => Buffer.from(`labels ${version}`).toString("base64");

export function vmJson(vm: FakeVm) {
  const last = Number(vm.id) % 250;
  const isUp = vm.status !== "PROVISIONING";
  const natIP = vm.isPublic && vm.status === "RUNNING" ? { natIP: vm.listensAt ?? `192.0.2.${last}` } : {};
  return {
    kind: "compute#instance",
    id: vm.id,
    name: vm.name,
    creationTimestamp: new Date(vm.createdAt).toISOString().replace("Z", "-00:00"),
    status: vm.status,
    zone: `${base}/zones/${vm.zone}`,
    machineType: `${base}/${String(vm.body["machineType"])}`,
    ...(Object.keys(vm.labels).length === 0 ? {} : { labels: vm.labels }),
    labelFingerprint: fingerprint(vm),
    networkInterfaces: [
      {
        name: "nic0",
        ...(isUp ? { networkIP: vm.listensAt ?? `10.132.0.${last}` } : {}),
        ...(vm.isPublic ? { accessConfigs: [{ name: "External NAT", type: "ONE_TO_ONE_NAT", ...natIP }] } : {}),
      },
    ],
    selfLink: `${base}/zones/${vm.zone}/instances/${vm.name}`,
  };
}

export function operationJson(operation: FakeOperation, now: number) {
  const isOver = now >= operation.endsAt;
  const { error, zone } = operation;
  return {
    kind: "compute#operation",
    id: operation.name.replaceAll(/\D/g, ""),
    name: operation.name,
    zone: `${base}/zones/${zone}`,
    operationType: operation.type,
    clientOperationId: operation.requestId,
    targetId: operation.targetId,
    targetLink: `${base}/zones/${zone}/${operation.target}`,
    status: isOver ? "DONE" : now === operation.startedAt ? "PENDING" : "RUNNING",
    progress: isOver ? 100 : 0,
    insertTime: new Date(operation.startedAt).toISOString(),
    ...(isOver && error !== null
      ? { error: { errors: [error] }, httpErrorStatusCode: 400, httpErrorMessage: "BAD REQUEST" }
      : {}),
  };
}

const stamp = "2026-01-01T00:00:00.000-00:00";

export const machineTypeJson = (name: string, zone: string) => ({
  kind: "compute#machineType",
  id: "1001",
  name,
  zone,
  guestCpus: 2,
  memoryMb: 4096,
  creationTimestamp: stamp,
});

export const imageJson = (name: string) => ({ kind: "compute#image", id: "2001", name, status: "READY", diskSizeGb: "10" });

export const regionJson = (name: string, zones: readonly string[], quotas: readonly (readonly [string, number, number])[]) => ({
  kind: "compute#region",
  id: "3001",
  name,
  status: "UP",
  zones: zones.map((zone) => `${base}/zones/${zone}`),
  quotas: quotas.map(([metric, limit, usage]) => ({ metric, limit, usage })),
});

export const projectJson = (name: string) => ({ kind: "compute#project", id: "4001", name });
