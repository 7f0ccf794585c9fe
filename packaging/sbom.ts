/** The list of what is in the executables (CycloneDX), made by npm from the lock file. */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { name } from "../package.json";

const component = v.looseObject({ "bom-ref": v.string(), name: v.string() });
const document = v.looseObject({
  metadata: v.looseObject({ component: v.looseObject({ name: v.string() }) }),
  components: v.array(component),
  dependencies: v.array(v.looseObject({ ref: v.string(), dependsOn: v.array(v.string()) })),
});

/** Needed to build, and in what it has built. */
const RUNTIME = "bun";

/** @throws Error when npm fails or says something unexpected */
function listed(root: string, ...options: readonly string[]): v.InferOutput<typeof document> {
  const argv = ["npm", "sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only", ...options];
  const { success, stdout, stderr } = Bun.spawnSync(argv, { cwd: root });
  if (!success) throw new Error(`${argv.join(" ")} failed: ${stderr.toString()}`);
  return v.parse(document, JSON.parse(stdout.toString()));
}

/** The same for the same text (RFC 9562, version 8). */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * The packages that end up in the executables, and the runtime; what only builds and tests them is left out.
 * @param root the directory of package-lock.json
 * @param time seconds since 1970
 * @throws Error when npm fails or says something unexpected
 */
export function sbom(root: string, time: number): string {
  const shipped = listed(root, "--omit=dev", "--omit=peer", "--omit=optional");
  const runtime = listed(root).components.filter((one) => one.name === RUNTIME);
  const references = runtime.map((one) => one["bom-ref"]);
  const [itself, ...others] = shipped.dependencies;
  if (itself === undefined || references.length !== 1) throw new Error("npm sbom lists neither the project nor bun");
  const components = [...shipped.components, ...runtime];
  const whole = {
    ...shipped,
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(components))}`,
    metadata: {
      ...shipped.metadata,
      timestamp: new Date(time * 1000).toISOString(),
      // npm takes the name of the directory.
      component: { ...shipped.metadata.component, name },
    },
    components,
    dependencies: [
      { ...itself, dependsOn: [...itself.dependsOn, ...references] },
      ...others,
      ...references.map((ref) => ({ ref, dependsOn: [] })),
    ],
  };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}
