export const installProvider = (): string => "";
export const uninstallProvider = (): void => {};
