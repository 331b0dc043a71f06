import { randomInt } from "node:crypto";
import { type KubeApi, KubeError } from "./kube-api.ts";

/** How long until the API is asked again after a failure, in ms: the first time and at most. */
const RETRY_MS = { first: 500, most: 30_000 };
/** A right that is missing is granted by a person. */
const DENIED_RETRY_MS = 30_000;

export interface KubeObjectOptions {
  readonly api: KubeApi;
  /** `/api/v1/nodes` or `/api/v1/namespaces/<namespace>/services`. */
  readonly collection: string;
  readonly name: string;
  readonly onObject: (object: unknown) => void;
  readonly onError: (error: KubeError) => void;
}

/** One object of the Kubernetes API, read and then watched for as long as it takes. */
export class KubeObject {
  readonly #options: KubeObjectOptions;
  #unwatch: () => void = () => {};
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: KubeObjectOptions) {
    this.#options = options;
  }

  follow(): void {
    void this.#read();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#unwatch();
  }

  async #read(): Promise<void> {
    const { api, collection, name, onObject } = this.#options;
    try {
      const object = await api.get(`${collection}/${encodeURIComponent(name)}`);
      if (this.#closed) return;
      this.#failures = 0;
      onObject(object);
      this.#watch(versionOf(object));
    } catch (error) {
      this.#failed(error);
    }
  }

  #watch(version: string): void {
    const { api, collection, name, onObject } = this.#options;
    // Of one object: a role that is limited to it by name allows that, too.
    const query = new URLSearchParams({
      fieldSelector: `metadata.name=${name}`,
      resourceVersion: version,
      allowWatchBookmarks: "true",
    });
    let last = version;
    let gone = false;
    this.#unwatch = api.watch(
      `${collection}?${query}`,
      ({ type, object }) => {
        if (type === "ERROR") gone = true;
        else last = versionOf(object) || last;
        if (type === "ADDED" || type === "MODIFIED") onObject(object);
        else if (type === "DELETED") this.#options.onError(new KubeError(`404: ${name} is gone`, 404));
      },
      (error) => {
        if (this.#closed) return;
        if (error !== undefined) this.#failed(error);
        // The version is too old to go on from: it is read anew.
        else if (gone) this.#again(RETRY_MS.first);
        else this.#watch(last);
      },
    );
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const failure = error instanceof KubeError ? error : new KubeError(String(error));
    this.#options.onError(failure);
    const { first, most } = RETRY_MS;
    const denied = failure.status === 401 || failure.status === 403;
    this.#again(denied ? DENIED_RETRY_MS : Math.min(most, first * 2 ** Math.min(this.#failures++, 10)));
  }

  #again(delayMs: number): void {
    // Not all at once, where an API comes back to many.
    this.#retry = setTimeout(() => void this.#read(), delayMs / 2 + randomInt(Math.ceil(delayMs / 2)));
    this.#retry.unref();
  }
}

function versionOf(object: unknown): string {
  const { resourceVersion } = metadataOf(object);
  return typeof resourceVersion === "string" ? resourceVersion : "";
}

/** The mapping under a key; an empty one where there is none. */
export function mappingAt(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const inner = isMapping(value) ? value[key] : undefined;
  return isMapping(inner) ? inner : {};
}

export function metadataOf(object: unknown): Readonly<Record<string, unknown>> {
  return mappingAt(object, "metadata");
}

/** The mappings in the list under a key. */
export function listAt(value: unknown, key: string): readonly Readonly<Record<string, unknown>>[] {
  const inner = isMapping(value) ? value[key] : undefined;
  return Array.isArray(inner) ? inner.filter(isMapping) : [];
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
