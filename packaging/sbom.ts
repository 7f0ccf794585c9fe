/** The list of what is in the executables (CycloneDX), made by npm from the lock file. */
import * as v from "valibot";

const property = v.looseObject({ name: v.string(), value: v.string() });
const component = v.looseObject({
  "bom-ref": v.string(),
  name: v.string(),
  properties: v.optional(v.array(property), []),
});
const document = v.looseObject({
  metadata: v.looseObject({ timestamp: v.string() }),
  components: v.array(component),
  dependencies: v.array(v.looseObject({ ref: v.string(), dependsOn: v.array(v.string()) })),
});

/** It compiles, and it is in what it has compiled. */
const RUNTIME = "bun";
const DEVELOPMENT = "cdx:npm:package:development";

/**
 * The packages that end up in the executables; what only builds and tests them is left out.
 * @param root the directory of package-lock.json
 * @param time seconds since 1970
 * @throws Error when npm fails or says something unexpected
 */
export function sbom(root: string, time: number): string {
  const { success, stdout, stderr } = Bun.spawnSync(
    ["npm", "sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"],
    { cwd: root },
  );
  if (!success) throw new Error(`npm sbom failed: ${stderr.toString()}`);
  const whole = v.parse(document, JSON.parse(stdout.toString()));
  const components = whole.components.filter(
    ({ name, properties }) => name === RUNTIME || !properties.some((one) => one.name === DEVELOPMENT),
  );
  const kept = new Set(components.map((one) => one["bom-ref"]));
  const dependencies = whole.dependencies
    .filter(({ ref }) => kept.has(ref) || !whole.components.some((one) => one["bom-ref"] === ref))
    .map((one) => ({ ...one, dependsOn: one.dependsOn.filter((ref) => kept.has(ref)) }));
  const metadata = { ...whole.metadata, timestamp: new Date(time * 1000).toISOString() };
  return `${JSON.stringify({ ...whole, metadata, components, dependencies }, undefined, 2)}\n`;
}
