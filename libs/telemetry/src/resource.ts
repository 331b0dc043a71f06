import { createRequire } from "node:module";
import { hostname } from "node:os";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";

const { version }: { readonly version: string } = createRequire(import.meta.url)("../package.json");

/** Who tells: the service and this instance of it, unless the operator says otherwise (OTEL_RESOURCE_ATTRIBUTES). */
export function serviceResource(service: string, more: Readonly<Record<string, string>> = {}): Resource {
  return resourceFromAttributes({
    "service.name": service,
    "service.namespace": "culvert",
    "service.version": version,
    "service.instance.id": `${hostname()}:${process.pid}`,
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.name": "opentelemetry",
    ...more,
  });
}
