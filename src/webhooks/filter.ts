/**
 * Which events of its types a webhook wants: conditions on members of event and data, all of which must hold. A member is
 * `type`, `accountId` or a path into the payload such as `data.path`.
 */
export type Filter = Readonly<Record<string, Condition>>

/** A value that the member equals, or one or more tests that must all hold. */
export type Condition = Scalar | Tests

export type Scalar = string | number | boolean | null

export interface Tests {
  readonly in?: readonly Scalar[]
  /** `*` within a folder, `**` across folders, `?` one character. */
  readonly glob?: string
  readonly prefix?: string
  readonly gt?: number
  readonly gte?: number
  readonly lt?: number
  readonly lte?: number
  readonly exists?: boolean
  readonly not?: Condition
}
