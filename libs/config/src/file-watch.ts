import { statSync } from "node:fs";

/**
 * Notices that files were written, replaced, made or removed. It looks at them instead of waiting for events: a mounted Secret
 * or ConfigMap changes by a link (`..data`) in the path of its files.
 */
export class FileWatch {
  readonly #files: readonly string[];
  #seen: string;
  #timer: NodeJS.Timeout | undefined;

  /** What is there now is what is known: make it before the files are read. */
  constructor(files: readonly string[]) {
    this.#files = files;
    this.#seen = this.#look();
  }

  /** @param intervalMs between two looks */
  follow(intervalMs: number, onChange: () => void): void {
    this.#timer = setInterval(() => {
      const now = this.#look();
      if (now === this.#seen) return;
      this.#seen = now;
      onChange();
    }, intervalMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): string {
    return this.#files.map(identityOf).join();
  }
}

/** Another one for a file that was written or replaced. */
function identityOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "" : `${found.dev}.${found.ino}.${found.size}.${found.mtimeNs}.${found.ctimeNs}`;
}
