/** DLLs that only some commands need. */

/** Opens on first use, once. */
export function lazily<T>(open: () => T): () => T {
  let opened: { readonly value: T } | undefined;
  return () => {
    opened ??= { value: open() };
    return opened.value;
  };
}
