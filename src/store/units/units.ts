import type { Work } from '../work.ts'

/** The methods of a port as units of work: the same, with the transaction handed in first. */
export type Units<Port> = {
  [Name in keyof Port]: Port[Name] extends (...args: infer Args) => infer Answer ? (work: Work, ...args: Args) => Answer : never
}
