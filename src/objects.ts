/** Objects as tables. */

/** Whether an object itself has a member, not what it inherits. */
export const isKeyOf = <T extends object>(key: PropertyKey, object: T): key is keyof T => Object.hasOwn(object, key);
