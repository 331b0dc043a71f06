/** An entry of `packages` in package-lock.json, as far as it is of use. */
interface LockEntry {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

export interface ProductionPackage {
  /** Where it is, from the root of the repository. */
  readonly path: string;
  /** Of a link: where it leads, from the root of the repository. */
  readonly link?: string;
}

/**
 * The packages that `entry` (a workspace's path) needs to run, itself and links to workspaces included, as Node.js finds them.
 * Optional ones that are not in the lock file are left out. Throws for others that are not.
 */
export function productionPackages(
  packages: Readonly<Record<string, LockEntry>>,
  entry: string,
): readonly ProductionPackage[] {
  const found = new Map<string, ProductionPackage>();
  const visit = (path: string): void => {
    if (found.has(path)) return;
    const { link, resolved, ...rest } = packages[path] ?? {};
    found.set(path, link === true && resolved !== undefined ? { path, link: resolved } : { path });
    if (link === true && resolved !== undefined) {
      visit(resolved);
      return;
    }
    const optional = { ...rest.optionalDependencies };
    for (const [name, { optional: may }] of Object.entries(rest.peerDependenciesMeta ?? {})) {
      if (may === true) optional[name] = "*";
    }
    for (const name of Object.keys({ ...rest.dependencies, ...rest.optionalDependencies, ...rest.peerDependencies })) {
      const at = resolve(packages, path, name);
      if (at !== undefined) visit(at);
      else if (!Object.hasOwn(optional, name))
        throw new Error(`package-lock.json: ${path} needs ${name}, which is not in it`);
    }
  };
  visit(entry);
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The nearest node_modules folder from `from` upwards that has the package. */
function resolve(packages: Readonly<Record<string, LockEntry>>, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.includes("/") ? folder.slice(0, folder.lastIndexOf("/")) : "") {
    const path = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (Object.hasOwn(packages, path)) return path;
    if (folder === "") return undefined;
  }
}
