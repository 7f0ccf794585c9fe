export async function ctl(_args: readonly string[]): Promise<number> {
  return 1;
}
