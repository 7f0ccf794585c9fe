/** Files that the executable carries as text: `import text from "./x.service" with { type: "text" }`. */
declare module "*.service" {
  const text: string;
  export default text;
}
declare module "*.rules" {
  const text: string;
  export default text;
}
declare module "*.openrc" {
  const text: string;
  export default text;
}
declare module "*.sysv" {
  const text: string;
  export default text;
}
declare module "*.runit" {
  const text: string;
  export default text;
}
declare module "*.inittab" {
  const text: string;
  export default text;
}
declare module "*.conf" {
  const text: string;
  export default text;
}
declare module "*/fsfreeze-hook" {
  const text: string;
  export default text;
}
